// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPNIO
import ZSSPTesting

extension UDPEndpoint {
  /// Accepts all handshakes, and sends messages back with a byte in front.
  func serve(tag: UInt8) -> Task<Void, Never> {
    Task {
      await withDiscardingTaskGroup { group in
        for await handshake in incoming {
          group.addTask {
            guard let session = try? await handshake.accept() else { return }
            for await message in session.messages { try? await session.send([tag] + message) }
          }
        }
        group.cancelAll()
      }
    }
  }
}

extension TestNetwork {
  /// Waits until the state is as it should be, while time passes.
  func wait(
    for session: ReconnectingSession, until condition: (ReconnectingSession.State) -> Bool
  ) async throws {
    try #require(await advance { condition(session.state) }, "\(session.state)")
  }
}
