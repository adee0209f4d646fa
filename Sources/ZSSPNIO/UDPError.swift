// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// The errors of ``UDPEndpoint``, ``Session``, ``IncomingSession`` and ``ReconnectingSession``.
///
/// Functions with typed errors throw ``cancelled`` when their task is cancelled, instead of
/// `CancellationError`. ``isCancellation`` tells it from the other errors:
///
/// ```swift
/// func attempt(_ endpoint: UDPEndpoint, _ key: PublicKey) async throws -> Session? {
///   do {
///     return try await endpoint.connect(to: "gw.example:4500", key: key, timeout: .seconds(10))
///   } catch where error.isCancellation {
///     throw CancellationError()
///   } catch .timeout(let cause) {
///     print("no session: \(cause)")
///     return nil
///   }
/// }
/// ```
public enum UDPError: Error, Equatable {
  /// The text is no valid address. `reason` says what would be valid.
  case invalidAddress(String, reason: String)
  /// No socket could be bound.
  case bindFailed(host: String, port: Int, reason: BindFailure)
  /// The endpoint's configuration is invalid.
  case configuration(ConfigurationError)
  /// The session could not be opened.
  case open(OpenError)
  /// The socket cannot reach the address, because it is an IPv4 socket or bound to one IPv6
  /// address.
  case unreachable(SocketAddress, from: SocketAddress)
  /// The message is longer than ``/ZSSP/Settings/largestMessage`` allows at the endpoint's MTU;
  /// sizes in bytes.
  case messageTooLarge(size: Int, limit: Int)
  /// The session has ended.
  case sessionEnded(EndReason)
  /// The responder's application refused this side.
  case rejected
  /// No session was established in time. The cause is what was seen of the peer until then.
  case timeout(TimeoutCause)
  /// The incoming handshake waited too long for a decision, or was decided on before.
  case expired
  /// The handshake was accepted, and then failed.
  case handshakeFailed(DropReason)
  /// The task was cancelled.
  case cancelled
  /// A ``ReconnectingSession`` has no session now, and the message was not to wait for one.
  case disconnected
  /// The endpoint is closed.
  case closed
  /// The socket failed and could not be replaced. The text is the system's.
  case transport(String)
}

/// The reason why a socket could not be bound.
public enum BindFailure: Sendable, Hashable {
  /// Another socket has the port.
  case portInUse
  /// No interface of this machine has the address.
  case addressNotAvailable
  /// The process lacks the permission for this port.
  case permissionDenied
  /// The system does not support this address family.
  case unsupportedFamily
  /// The event loop group belongs neither to NIOPosix nor is it a ``EpollEventLoopGroup``.
  case unsupportedEventLoop
  /// Anything else, in the system's words.
  case other(String)
}

extension BindFailure: CustomStringConvertible {
  /// The reason as text.
  public var description: String {
    switch self {
    case .portInUse: "port in use; end the other program, or choose another port"
    case .addressNotAvailable: "no interface of this machine has this address"
    case .permissionDenied: "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
    case .unsupportedFamily: "this system has no such address family; use the other one"
    case .unsupportedEventLoop:
      "the event loop group is neither a MultiThreadedEventLoopGroup nor a EpollEventLoopGroup"
    case .other(let text): text
    }
  }

  init(_ error: any Error) {
    guard let error = error as? IOError else {
      self = .other("\(error)")
      return
    }
    self.init(error: error.errnoCode, text: error.description)
  }

  init(error: CInt, text: String) {
    switch error {
    case Errno.addressInUse: self = .portInUse
    case Errno.addressNotAvailable: self = .addressNotAvailable
    case Errno.permissionDenied, Errno.notPermitted: self = .permissionDenied
    case Errno.addressFamilyNotSupported: self = .unsupportedFamily
    default: self = .other(text)
    }
  }
}

extension UDPError: CustomStringConvertible {
  /// The error as text, with a remedy where one is known.
  public var description: String {
    switch self {
    case .invalidAddress(let text, let reason): "\"\(text)\" is no address: \(reason)"
    case .bindFailed(let host, let port, let reason): "cannot bind UDP \(host) port \(port): \(reason)"
    case .configuration(let error): "\(error)"
    case .open(let error): "\(error)"
    case .unreachable(let remote, let local):
      "\(remote.text) cannot be reached from a socket that is bound to \(local.text)"
    case .messageTooLarge(let size, let limit): "\(SendError.messageTooLarge(size: size, limit: limit))"
    case .sessionEnded(let reason): "the session has ended: \(reason)"
    case .rejected: "the peer refused this side's key or identity"
    case .timeout(let cause): "no session in time: \(cause)"
    case .expired: "the handshake waited too long for a decision, or was decided on before"
    case .handshakeFailed(let reason): "the handshake was accepted and then failed: \(reason)"
    case .cancelled: "cancelled"
    case .disconnected: "there is no session at the moment"
    case .closed: "the endpoint is closed"
    case .transport(let text): "the socket failed: \(text)"
    }
  }
}

extension UDPError {
  /// True for ``cancelled``.
  public var isCancellation: Bool { self == .cancelled }
}
