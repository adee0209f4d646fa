// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Testing
import ZSSP
import ZSSPStoreTesting

@testable import ZSSPEtcd

/// A prefix of its own in an etcd that can be stopped, and whose answers can be lost.
private final class EtcdMedium: StoreMedium {
  private static let page = Data(count: 4096)

  let nodes: EtcdNodes
  let options: EtcdStoreOptions
  private let losesAnswers = Mutex(false)

  init(_ nodes: EtcdNodes, _ change: (inout EtcdStoreOptions) -> Void = { _ in }) {
    var options = nodes.options()
    change(&options)
    (self.nodes, self.options) = (nodes, options)
  }

  func open() async throws -> any RatchetStore {
    let gate = Gate(try Cluster(options)) { [self] _, _ in
      losesAnswers.withLock(\.self) ? .lostAnswer : .done
    }
    return try await EtcdRatchetStore.open(gate, options, .fastest)
  }

  func close(_ store: any RatchetStore) async throws { try await (store as? EtcdRatchetStore)?.close() }

  /// etcd keeps what was replaced until it is compacted. Where states are encrypted, nobody can
  /// read it.
  func contents(of store: any RatchetStore) throws -> [UInt8]? {
    guard options.key != nil else { return nil }
    let files = FileManager.default.enumerator(at: nodes.folder.url, includingPropertiesForKeys: nil)
    var bytes: [UInt8] = []
    while let file = files?.nextObject() as? URL {
      guard !file.hasDirectoryPath else { continue }
      // Files are made 64 MB large before anything is in them. No page of zeros has a key.
      let data = try Data(contentsOf: file)
      for start in stride(from: data.startIndex, to: data.endIndex, by: Self.page.count) {
        let page = data[start..<min(start + Self.page.count, data.endIndex)]
        if page != Self.page { bytes += page }
      }
    }
    return bytes
  }

  func setFailing(_ isFailing: Bool) -> Bool {
    nodes.nodes[0].setStopped(isFailing)
    return true
  }

  func setFailingAfterEffect(_ isFailing: Bool) -> Bool {
    losesAnswers.withLock { $0 = isFailing }
    return true
  }
}

extension OverEtcd {
  @Suite(
    "The contract of ratchet stores, over etcd", .timeLimit(.minutes(20)))
  struct ConformanceTests {
    /// One etcd for all rules: each has a prefix of its own, and one after another stops it.
    private static let shared = Result { try EtcdNodes() }
    /// A cluster that never stored a key without encryption.
    private static let sharedByEncrypted = Result { try EtcdNodes() }

    /// A medium that fails has a store wait for its whole patience at each request.
    private static func patience(_ rule: StoreConformance) -> Duration {
      rule.name.contains("fail") ? .seconds(1) : .seconds(60)
    }

    @Test(arguments: StoreConformance.cases)
    func plain(_ rule: StoreConformance) async throws {
      let medium = EtcdMedium(try Self.shared.get()) { options in
        options.timeout = Self.patience(rule)
        options.callTimeout = min(.seconds(2), options.timeout)
      }
      let outcome = try await rule.run(on: medium)
      // Only who sees the disks of etcd can tell what is erased.
      #expect(outcome == .passed || rule.name == "replaced keys are erased", "\(rule): \(outcome)")
    }

    @Test(arguments: StoreConformance.cases)
    func encrypted(_ rule: StoreConformance) async throws {
      let medium = EtcdMedium(try Self.sharedByEncrypted.get()) { options in
        options.key = Sample.key
        options.timeout = Self.patience(rule)
        options.callTimeout = min(.seconds(2), options.timeout)
      }
      let outcome = try await rule.run(on: medium)
      #expect(outcome == .passed, "\(rule): \(outcome)")
    }
  }
}
