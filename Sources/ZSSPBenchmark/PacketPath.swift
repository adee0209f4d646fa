// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Messages of one size on their whole way in memory, from a sender to a receiver, for benchmarks of other packages.
public struct PacketPath: ~Copyable {
  private var link: EndpointLink
  private let session: SessionID
  private let message: [UInt8]
  private let batch: Int

  /// An established session for messages of `size` bytes, at most 60,000, of which `batch` are sent, and then received,
  /// at once.
  public init(_ provider: any CryptoProvider, size: Int, batch: Int) throws {
    var link = try EndpointLink(provider)
    try link.handshake()
    session = link.sessions[0]
    self.link = link
    message = [UInt8](repeating: 7, count: size)
    self.batch = batch
  }

  /// Sends and receives a batch. Throws if one did not arrive.
  public mutating func exchange() throws {
    let (message, batch) = (message, batch)
    try link.alice.send(on: session, at: link.now) { run throws(SendError) in
      for _ in 0..<batch { try run.append(message.span.bytes) }
    }
    let received = link.aliceToBob()
    guard received == batch else {
      throw EndpointLink.Broken(description: "\(batch - received) of \(batch) messages did not arrive")
    }
  }
}

/// One handshake after another between two endpoints in memory, for benchmarks of other packages.
public struct RepeatedHandshakes: ~Copyable {
  private var link: EndpointLink

  /// Two endpoints that know each other.
  public init(_ provider: any CryptoProvider) throws { link = try EndpointLink(provider) }

  /// One handshake, from the Hello to the confirmation. Its session takes the place of the one before.
  public mutating func shake() throws { try link.handshake() }
}
