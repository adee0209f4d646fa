// SPDX-License-Identifier: Apache-2.0
package import Logging
import NIOConcurrencyHelpers
import NIOCore
package import ZSSP

/// The log of an endpoint. Its lines share the metadata keys below, and never contain a secret or a
/// peer's identity.
///
/// | key | value |
/// |---|---|
/// | `zssp.peer` | the peer's public key, base64 |
/// | `zssp.name` | the peer's name, if the owner of the endpoint has one for it |
/// | `zssp.session` | the session's name within its shard |
/// | `zssp.address` | an IP address and a port |
/// | `zssp.reason` | the reason, as text |
/// | `zssp.suppressed` | the number of lines of this kind that were suppressed before this one |
///
/// Events that strangers can cause are logged at debug. Of such lines, and of those that a peer can
/// cause at will, at most ``LogLimiter/linesPerSecond`` are logged per second and kind. Valid
/// datagrams are not logged.
package struct EndpointLog: Sendable {
  private let logger: Logger
  private let limiter: NIOLockedValueBox<[Kind: LogLimiter]>
  /// Returns the owner's name of a peer; nil for none.
  private let nameOfPeer: (@Sendable (PublicKey) -> String?)?
  /// The level of lines about sessions that are usual.
  private let sessionLevel: Logger.Level
  /// The level of lines about downgrades.
  private let downgradeLevel: Logger.Level

  /// True if dropped datagrams are logged at the logger's current level.
  var logsDrops: Bool { logger.logLevel <= .debug }

  /// The kinds of lines that are limited separately.
  enum Kind: Hashable {
    case establishment, end, attempt, restart, rekey, move, downgrade
    case drop, refusal, expiry, failure
  }

  /// Makes a log that writes to `logger`.
  ///
  /// - Parameters:
  ///   - logger: The logger.
  ///   - logsSessionsAsDetail: True to log sessions and downgrades at debug. The default is false.
  ///   - nameOfPeer: Returns the name of a peer; nil if peers have none. Called only for lines that
  ///     are written.
  package init(
    _ logger: Logger, logsSessionsAsDetail: Bool = false, nameOfPeer: (@Sendable (PublicKey) -> String?)? = nil
  ) {
    self.logger = logger
    self.nameOfPeer = nameOfPeer
    limiter = NIOLockedValueBox([:])
    sessionLevel = logsSessionsAsDetail ? .debug : .info
    downgradeLevel = logsSessionsAsDetail ? .debug : .warning
  }

  /// Logs that the socket is bound.
  func bound(_ address: SocketAddress, key: PublicKey, shards: Int) {
    logger.info(
      "endpoint bound",
      metadata: ["zssp.address": "\(address.text)", "zssp.key": "\(key)", "zssp.shards": "\(shards)"])
  }

  /// Logs that a shard is closed, or with an error that the endpoint failed.
  func closed(_ error: UDPError?) {
    if let error {
      logger.error("endpoint failed", metadata: ["zssp.reason": "\(error)"])
    } else {
      logger.debug("shard closed")
    }
  }

  /// Logs an established session.
  func established(_ id: SessionID, establishment: Establishment, at now: Instant) {
    limited(.establishment, level: sessionLevel, message: "session established", at: now) {
      fields(
        of: id, peer: establishment.peer,
        [
          "zssp.address": "\(establishment.address.unmapped)", "zssp.role": "\(establishment.role)",
          "zssp.chain_length": "\(establishment.chainLength)",
        ])
    }
  }

  /// Logs the end of a session, or of an attempt to establish one.
  func ended(_ id: SessionID, peer: PublicKey?, reason: EndReason, wasEstablished: Bool, at now: Instant) {
    limited(
      wasEstablished ? .end : .attempt, level: wasEstablished ? sessionLevel : .debug,
      message: wasEstablished ? "session ended" : "attempt ended", at: now
    ) { fields(of: id, peer: peer, ["zssp.reason": "\(reason)"]) }
  }

  /// Logs that a handshake of this side restarted.
  func restarted(_ id: SessionID, peer: PublicKey?, reason: RestartReason, at now: Instant) {
    limited(.restart, level: .debug, message: "handshake restarted", at: now) {
      fields(of: id, peer: peer, ["zssp.reason": "\(reason)"])
    }
  }

  /// Logs that a session has a new key.
  func rekeyed(_ id: SessionID, peer: PublicKey?, chainLength: UInt64, at now: Instant) {
    limited(.rekey, level: .debug, message: "session re-keyed", at: now) {
      fields(of: id, peer: peer, ["zssp.chain_length": "\(chainLength)"])
    }
  }

  /// Logs that a session's peer has moved.
  func moved(_ id: SessionID, peer: PublicKey?, to address: Address, at now: Instant) {
    limited(.move, level: sessionLevel, message: "peer moved", at: now) {
      fields(of: id, peer: peer, ["zssp.address": "\(address.unmapped)"])
    }
  }

  /// Logs a handshake that continued without the ratchet.
  func downgraded(_ id: SessionID, peer: PublicKey, heldChainLength: UInt64, at now: Instant) {
    limited(
      .downgrade, level: downgradeLevel,
      message: "the peer does not have the ratchet that is held for it: it lost its store, or someone has its key",
      at: now
    ) { fields(of: id, peer: peer, ["zssp.chain_length": "\(heldChainLength)"]) }
  }

  /// Logs a refused handshake of a peer: too many waited, or the application refused it.
  func refused(_ request: AcceptRequest, reason: String, at now: Instant) {
    limited(.refusal, level: .debug, message: "handshake refused", at: now) {
      fields(of: nil, peer: request.peer, ["zssp.address": "\(request.address.unmapped)", "zssp.reason": "\(reason)"])
    }
  }

  /// Logs a handshake that waited too long for a decision.
  func expired(isUnread: Bool, at now: Instant) {
    if isUnread {
      limited(
        .expiry, level: .warning, message: "a handshake expired because nothing reads the endpoint's incoming", at: now
      ) { [:] }
    } else {
      limited(.expiry, level: .debug, message: "a handshake was not decided on in time", at: now) { [:] }
    }
  }

  /// Logs an accepted handshake that failed.
  func failed(_ reason: DropReason, at now: Instant) {
    limited(.failure, level: .notice, message: "an accepted handshake failed", at: now) { ["zssp.reason": "\(reason)"] }
  }

  /// Logs dropped datagrams.
  func dropped(_ reason: DropReason, count: UInt64, from source: Address?, at now: Instant) {
    limited(.drop, level: .debug, message: "datagram dropped", at: now) {
      var metadata: Logger.Metadata = ["zssp.reason": "\(reason)", "zssp.count": "\(count)"]
      if let source { metadata["zssp.address"] = "\(source.unmapped)" }
      return metadata
    }
  }

  /// Logs that a ``ReconnectingSession`` has no session and waits.
  func waiting(for peer: PublicKey, pause: Duration, after error: UDPError) {
    logger.info(
      "no session, another attempt follows",
      metadata: ["zssp.peer": "\(peer)", "zssp.pause": "\(pause)", "zssp.reason": "\(error)"])
  }

  /// Logs that a library fails at valid keys, where another one takes its place.
  func operationsFailed(of provider: String) {
    logger.error(
      "a crypto library failed at valid P-384 keys; another one does such operations again, which takes longer",
      metadata: ["zssp.reason": "\(provider)"])
  }

  /// Logs that the socket failed and is replaced.
  func socketFailed() { logger.warning("the socket failed and is bound again") }

  /// Returns metadata with that of a session and its peer, as far as they are known.
  private func fields(
    of session: SessionID?, peer: PublicKey?, _ others: Logger.Metadata
  ) -> Logger.Metadata {
    var fields = others
    if let session { fields["zssp.session"] = "\(session)" }
    if let peer {
      fields["zssp.peer"] = "\(peer)"
      if let name = nameOfPeer?(peer) { fields["zssp.name"] = "\(name)" }
    }
    return fields
  }

  private func limited(
    _ kind: Kind, level: Logger.Level, message: Logger.Message, at now: Instant, metadata: () -> Logger.Metadata
  ) {
    guard logger.logLevel <= level else { return }
    let admission = limiter.withLockedValue { $0[kind, default: LogLimiter()].admit(at: now) }
    guard case .line(let suppressed) = admission else { return }
    var metadata = metadata()
    if suppressed > 0 { metadata["zssp.suppressed"] = "\(suppressed)" }
    logger.log(level: level, message, metadata: metadata)
  }
}

/// Limits the rate of log lines of one kind.
struct LogLimiter: Equatable {
  /// The maximum number of lines per second.
  static let linesPerSecond = 10

  /// The decision on one line.
  enum Admission: Equatable {
    /// Write the line, after this many suppressed ones.
    case line(suppressed: Int)
    case suppressed
  }

  private var secondStart: Instant?
  private var lines = 0
  private var suppressed = 0

  /// Decides on one line.
  mutating func admit(at now: Instant) -> Admission {
    if secondStart.map({ $0.duration(to: now) >= .seconds(1) }) ?? true {
      secondStart = now
      lines = 0
    }
    guard lines < Self.linesPerSecond else {
      suppressed += 1
      return .suppressed
    }
    lines += 1
    defer { suppressed = 0 }
    return .line(suppressed: suppressed)
  }
}

extension SocketAddress {
  /// The address in its usual notation: `192.0.2.1:4500` or `[2001:db8::1]:4500`.
  package var text: String { Address(self).map { "\($0)" } ?? description }
}
