// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import SwiftProtobuf

/// The connection to one node. It is made for the first call, and again after a loss.
final class Connection: Sendable {
  private let node: EtcdStoreOptions.Node
  private let client: GRPCClient<HTTP2ClientTransport.Posix>
  private let running: Task<Void, Never>

  init(_ node: EtcdStoreOptions.Node, _ options: EtcdStoreOptions) throws(EtcdStoreError) {
    self.node = node
    let security: HTTP2ClientTransport.Posix.TransportSecurity =
      if let tls = options.tls { try Self.security(tls) } else { .plaintext }
    let serverName = options.tls?.serverName
    let transport: HTTP2ClientTransport.Posix
    do {
      transport = try HTTP2ClientTransport.Posix(
        target: Self.target(node), transportSecurity: security,
        config: .defaults { config in
          config.http2.authority = serverName
          // A node that has returned should be used soon, however long it was gone.
          config.backoff.initial = options.pause.first
          config.backoff.max = options.pause.longest
          config.connection.keepalive = HTTP2ClientTransport.Config.Keepalive(
            time: .seconds(10), timeout: options.callTimeout, allowWithoutCalls: false)
        })
    } catch {
      throw .badLocation("\(node)", reason: "\(error)")
    }
    let client = GRPCClient(transport: transport)
    self.client = client
    running = Task {
      do {
        try await client.runConnections()
      } catch {
        // The calls that need the connection fail, and report the reason.
      }
    }
  }

  deinit {
    client.beginGracefulShutdown()
    running.cancel()
  }

  /// Closes the connection, and cancels its calls.
  func close() async {
    client.beginGracefulShutdown()
    running.cancel()
    await running.value
  }

  /// Makes one call, and classifies its failure.
  func call<Request: Message, Response: Message>(
    _ service: String, _ method: String, _ request: Request, token: String?, timeout: Duration
  ) async throws(CallFailure) -> Response {
    var metadata = Metadata()
    if let token { metadata.addString(token, forKey: "token") }
    var options = CallOptions.defaults
    options.timeout = timeout
    do {
      return try await client.unary(
        request: ClientRequest(message: request, metadata: metadata),
        descriptor: MethodDescriptor(fullyQualifiedService: service, method: method),
        serializer: ProtobufSerializer<Request>(), deserializer: ProtobufDeserializer<Response>(), options: options
      ) { response in try response.message }
    } catch let error as RPCError {
      throw Self.failure(error, node)
    } catch {
      throw .unknown("\(node): \(error)")
    }
  }

  private static func failure(_ error: RPCError, _ node: EtcdStoreOptions.Node) -> CallFailure {
    let reason = error.cause.map { "\(node): \(error.message) (\($0))" } ?? "\(node): \(error.message)"
    return switch error.code {
    // etcd checks all this before it proposes anything to the cluster. A full database is also
    // reported after a completed write.
    case .resourceExhausted where !error.message.contains("space"): .busy(reason)
    case .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .failedPrecondition, .outOfRange,
      .unimplemented, .unauthenticated, .resourceExhausted:
      .refused(.refused(reason: reason))
    case .deadlineExceeded: .unknown("\(node): no answer in time")
    default: .unknown(reason)
    }
  }

  private static func target(_ node: EtcdStoreOptions.Node) -> any ResolvableTarget {
    if node.host.contains(":") { return .ipv6(address: node.host, port: node.port) }
    var address = in_addr()
    guard inet_pton(AF_INET, node.host, &address) != 1 else { return .ipv4(address: node.host, port: node.port) }
    return .dns(host: node.host, port: node.port)
  }

  private static func security(
    _ tls: EtcdStoreOptions.TLS
  ) throws(EtcdStoreError) -> HTTP2ClientTransport.Posix.TransportSecurity {
    for path in [tls.authority, tls.certificate, tls.privateKey].compactMap(\.self) {
      guard FileManager.default.isReadableFile(atPath: path) else {
        throw .badFile(path: path, reason: "there is no such file, or it cannot be read")
      }
    }
    return .tls { config in
      if let authority = tls.authority {
        config.trustRoots = .certificates([.file(path: authority, format: .pem)])
      }
      if let certificate = tls.certificate, let privateKey = tls.privateKey {
        config.certificateChain = [.file(path: certificate, format: .pem)]
        config.privateKey = .file(path: privateKey, format: .pem)
      }
    }
  }
}
