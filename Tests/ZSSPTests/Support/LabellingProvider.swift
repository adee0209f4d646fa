// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The meaning of a datagram, which only its sender knows.
struct Label: Hashable, Sendable {
  let type: PacketType
  let fragment: Int
}

/// The labels of datagrams that an endpoint has protected and nobody has asked about yet.
final class LabelLog: @unchecked Sendable {
  // An endpoint is driven on one thread, which is also the one that asks.
  private var labels: [Label] = []

  func append(_ label: Label) { labels.append(label) }

  /// The label of the next datagram that the endpoint sent. Those of strangers are not protected
  /// and say it themselves.
  func label(of datagram: [UInt8]) -> Label? {
    if datagram[0..<4].allSatisfy({ $0 == 0 }) {
      return PacketType(rawValue: datagram[7]).map { Label(type: $0, fragment: Int(datagram[4])) }
    }
    return labels.isEmpty ? nil : labels.removeFirst()
  }
}

/// Another provider, but header keys tell a log what they protect.
struct LabellingProvider: DerivedProvider {
  let base: any CryptoProvider
  let log: LabelLog

  func headerKey(_ key: Secret) -> any HeaderKey { LabellingHeaderKey(base: base.headerKey(key), log: log) }
}

private final class LabellingHeaderKey: HeaderKey {
  private let base: any HeaderKey
  private let log: LabelLog

  init(base: any HeaderKey, log: LabelLog) {
    self.base = base
    self.log = log
  }

  func encrypt(_ block: inout MutableRawSpan) {
    // The block begins with fragment number, fragment count, reserved, type (section 5).
    if let type = PacketType(rawValue: block[byte: 3]) {
      log.append(Label(type: type, fragment: Int(block[byte: 0])))
    }
    base.encrypt(&block)
  }

  func decrypt(_ block: inout MutableRawSpan) { base.decrypt(&block) }
}
