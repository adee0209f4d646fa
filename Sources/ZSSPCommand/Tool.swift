// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import ZSSP
import ZSSPNIO

/// Functions that several commands share.
enum Tool {
  /// Binds an endpoint, with errors that name the option and the address.
  ///
  /// - Throws: ``CommandFailure``.
  static func bind(
    _ address: SocketAddress, configuration: EndpointConfiguration, store: any RatchetStore = VolatileRatchetStore(),
    shards: Int = 1, logger: Logger? = nil
  ) async throws(CommandFailure) -> UDPEndpoint {
    var options = UDPOptions()
    options.shards = shards
    do {
      return try await UDPEndpoint.bind(
        host: address.ipAddress ?? "", port: address.port ?? 0, configuration: configuration, store: store,
        options: options, logger: logger)
    } catch {
      throw error.commandFailure(binding: address.text)
    }
  }
}

extension Tool {
  /// Binds an endpoint that reaches a peer: to `local`; without it to any address of a numeric
  /// peer's family, or for a name to all addresses of both families where the system supports both.
  ///
  /// - Throws: ``CommandFailure``.
  static func bind(
    _ local: String?, reaching peer: String, configuration: EndpointConfiguration, store: any RatchetStore,
    logger: Logger? = nil
  ) async throws(CommandFailure) -> UDPEndpoint {
    if let local {
      let address = try AddressReader.read(local, option: "--bind")
      if try AddressReader.isNumeric(peer, option: "--to"),
        case let remote = try AddressReader.read(peer, option: "--to"), !address.reaches(remote)
      {
        throw .usage("--bind \(local): \(peer) is of the other address family; bind to an address of it")
      }
      return try await bind(
        address, configuration: configuration, store: store, logger: logger)
    }
    if try AddressReader.isNumeric(peer, option: "--to") {
      let address = try AddressReader.any(like: AddressReader.read(peer, option: "--to"))
      return try await bind(address, configuration: configuration, store: store, logger: logger)
    }
    do {
      return try await UDPEndpoint.bind(host: "::", port: 0, configuration: configuration, store: store, logger: logger)
    } catch .bindFailed {
      return try await bind(
        AddressReader.read("0.0.0.0:0", option: "--bind"), configuration: configuration, store: store, logger: logger)
    } catch {
      throw error.commandFailure
    }
  }
}

/// Parses addresses in arguments. Errors name the option.
enum AddressReader {
  static func read(_ text: String, option: String) throws(CommandFailure) -> SocketAddress {
    do { return try SocketAddress(hostAndPort: text) } catch { throw .usage("\(option) \(text): \(error)") }
  }

  /// Returns true if a text is a numeric address, and false if it is a name and a port.
  ///
  /// - Throws: ``CommandFailure/usage(_:)`` if it is neither.
  static func isNumeric(_ text: String, option: String) throws(CommandFailure) -> Bool {
    do { _ = try SocketAddress.split(text) } catch { throw .usage("\(option) \(text): \(error)") }
    return (try? SocketAddress(hostAndPort: text)) != nil
  }

  /// Returns the wildcard address of the same family, with port 0.
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
