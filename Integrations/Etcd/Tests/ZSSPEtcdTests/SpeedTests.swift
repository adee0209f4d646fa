// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  /// Swaps per second, where somebody asks for them with `ZSSP_ETCD_SPEED`.
  @Suite(
    "Swaps per second", .timeLimit(.minutes(20)),
    .enabled(
      if: Etcd.isTested && ProcessInfo.processInfo.environment["ZSSP_ETCD_SPEED"] != nil,
      "figures are printed when ZSSP_ETCD_SPEED is set"))
  struct SpeedTests {
    @Test(arguments: [1, 3], [1, 16, 64])
    func swaps(nodes count: Int, atOnce: Int) async throws {
      let nodes = try EtcdNodes(count)
      let store = try await nodes.open()
      let clock = ContinuousClock()
      let start = clock.now
      let end = start + .seconds(4)
      let done = try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<atOnce {
          group.addTask {
            let peer = try Sample.peer(index)
            var number: UInt64 = 0
            while clock.now < end {
              let answer = await store.swap(peer, Sample.pair(number, of: index), Sample.pair(number + 1, of: index))
              #expect(answer.isSwapped)
              number += 1
            }
            return Int(number)
          }
        }
        return try await group.reduce(0, +)
      }
      print("\(count) nodes, \(atOnce) at once: \(Int(Double(done) / ((clock.now - start) / .seconds(1)))) swaps/s")
      await close(store)
    }
  }
}
