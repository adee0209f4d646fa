// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP
import ZSSPNIO

/// What the commands share.
enum Tool {
  /// Binds an endpoint, with errors that name the address.
  static func bind(
    _ address: SocketAddress, _ configuration: EndpointConfiguration, store: any RatchetStore = InMemoryRatchetStore(),
    shards: Int = 1
  ) async throws(CommandFailure) -> UDPEndpoint {
    var options = UDPOptions()
    options.shards = shards
    do {
      return try await UDPEndpoint.bind(
        host: address.ipAddress ?? "", port: address.port ?? 0, configuration: configuration, store: store,
        options: options)
    } catch {
      throw error.commandFailure
    }
  }
}

/// Reads addresses from arguments, with errors that name what and where.
enum AddressReader {
  static func read(_ text: String, option: String) throws(CommandFailure) -> SocketAddress {
    do { return try SocketAddress(hostAndPort: text) } catch { throw .usage("\(option) \(text): \(error)") }
  }

  /// Any address and port of the same family.
  static func any(like address: SocketAddress) throws(CommandFailure) -> SocketAddress {
    try read(address.protocol == .inet6 ? "[::]:0" : "0.0.0.0:0", option: "--bind")
  }
}

extension Conversation.Options {
  init(_ options: SessionOptions) throws {
    self.init(
      echo: options.echo, send: options.send, sizes: try options.sizes(), interval: options.interval)
  }
}
