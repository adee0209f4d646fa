// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Messages of one size through both endpoints in memory, for benchmarks of other packages.
public struct PacketPath: ~Copyable {
  private var link: EndpointLink
  private let session: SessionID
  private let message: [UInt8]
  private let batch: Int

  /// Establishes a session.
  ///
  /// - Parameters:
  ///   - provider: The crypto provider of both sides.
  ///   - size: The size of messages in bytes, at most 60,000.
  ///   - batch: The number of messages that are sent, and then received, at once.
  /// - Throws: ``EndpointLink/Broken``.
  public init(_ provider: any CryptoProvider, size: Int, batch: Int) throws {
    var link = try EndpointLink(provider)
    try link.handshake()
    session = link.sessions[0]
    self.link = link
    message = [UInt8](repeating: 7, count: size)
    self.batch = batch
  }

  /// Sends and receives a batch.
  ///
  /// - Throws: ``EndpointLink/Broken`` if a message did not arrive.
  public mutating func exchange() throws {
    let message = message
    let batch = batch
    try link.alice.send(on: session, at: link.now) { run throws(SendError) in
      for _ in 0..<batch { try run.append(message.span.bytes) }
    }
    let received = link.aliceToBob()
    guard received == batch else {
      throw EndpointLink.Broken(description: "\(batch - received) of \(batch) messages did not arrive")
    }
  }
}

/// Consecutive handshakes between two endpoints in memory, for benchmarks of other packages.
public struct RepeatedHandshakes: ~Copyable {
  private var link: EndpointLink

  /// Makes two endpoints.
  ///
  /// - Throws: The error of the configuration.
  public init(_ provider: any CryptoProvider) throws { link = try EndpointLink(provider) }

  /// Runs one handshake, from the Hello to the confirmation. Its session replaces the previous one.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public mutating func shake() throws { try link.handshake() }
}
