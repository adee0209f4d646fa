// SPDX-License-Identifier: Apache-2.0
public import SwiftZSSP

/// What a gateway or a sensor keeps in its folder: a key, and the ratchets of its peers.
public struct Site: Sendable {
  /// The key.
  public let key: StaticKey
  /// The ratchets.
  public let store: SQLiteRatchetStore
  /// The log.
  public let logger: Logger

  /// Opens a folder.
  public init(_ folder: String, _ logger: Logger) throws {
    self.logger = logger
    key = try StaticKey.loadOrCreate(at: "\(folder)/key.pem")
    var options = SQLiteStoreOptions()
    options.logger = logger
    store = try SQLiteRatchetStore(path: "\(folder)/ratchets.db", provider: .swiftCrypto, options: options)
  }

  /// Binds an endpoint.
  public func bind(port: Int) async throws -> UDPEndpoint {
    try await .bind(host: "::", port: port, configuration: Self.configuration(key), store: store, logger: logger)
  }

  /// Persistent mode: a peer without the right ratchet gets no answer.
  public static func configuration(_ key: StaticKey) -> EndpointConfiguration {
    .init(staticKey: key.agreementKey, provider: .swiftCrypto, flags: .persistent)
  }
}
