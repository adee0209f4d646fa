// SPDX-License-Identifier: Apache-2.0
package import Logging
import NIOConcurrencyHelpers
import NIOCore
import ZSSP

/// What an endpoint logs, with the same metadata everywhere. Never a secret, never what a peer says of itself.
///
/// | key | value |
/// |---|---|
/// | `zssp.peer` | the peer's public key, base64 |
/// | `zssp.session` | the session's name within its shard |
/// | `zssp.address` | an address and a port |
/// | `zssp.reason` | why, in words |
/// | `zssp.suppressed` | lines of this kind that were left out before this one |
///
/// What strangers can cause is logged at debug, at most ``LogLimiter/linesPerSecond`` lines a second for each kind.
/// Nothing is logged of datagrams that are fine.
package struct EndpointLog: Sendable {
  private let logger: Logger
  private let limiter: NIOLockedValueBox<[Kind: LogLimiter]>
  /// Whether dropped datagrams are logged. Asked once: the level of a logger that an endpoint has does not change.
  let logsDrops: Bool

  /// What is limited together.
  enum Kind: Hashable {
    case drop, refusal, expiry, failure
  }

  /// A log into `logger`.
  package init(_ logger: Logger) {
    self.logger = logger
    limiter = NIOLockedValueBox([:])
    logsDrops = logger.logLevel <= .debug
  }

  /// The socket is bound.
  func bound(_ address: SocketAddress, _ key: PublicKey, shards: Int) {
    logger.info(
      "endpoint bound",
      metadata: ["zssp.address": "\(address.text)", "zssp.key": "\(key)", "zssp.shards": "\(shards)"])
  }

  /// The endpoint is closed; `error` if its socket failed for good.
  func closed(_ error: UDPError?) {
    if let error {
      logger.error("endpoint failed", metadata: ["zssp.reason": "\(error)"])
    } else {
      logger.debug("shard closed")
    }
  }

  /// A session is established.
  func established(_ id: SessionID, _ establishment: Establishment) {
    logger.info(
      "session established",
      metadata: [
        "zssp.session": "\(id)", "zssp.peer": "\(establishment.peer)",
        "zssp.address": "\(establishment.address.unmapped)",
        "zssp.role": "\(establishment.role)", "zssp.chain_length": "\(establishment.chainLength)",
      ])
  }

  /// A session that was established has ended.
  func ended(_ id: SessionID, _ reason: EndReason) {
    logger.info("session ended", metadata: ["zssp.session": "\(id)", "zssp.reason": "\(reason)"])
  }

  /// A handshake of this side began anew.
  func restarted(_ id: SessionID, _ reason: RestartReason) {
    logger.debug("handshake restarted", metadata: ["zssp.session": "\(id)", "zssp.reason": "\(reason)"])
  }

  /// A session has a new key.
  func rekeyed(_ id: SessionID, chainLength: UInt64) {
    logger.debug("session re-keyed", metadata: ["zssp.session": "\(id)", "zssp.chain_length": "\(chainLength)"])
  }

  /// The peer of a session has moved.
  func moved(_ id: SessionID, to address: Address) {
    logger.info("peer moved", metadata: ["zssp.session": "\(id)", "zssp.address": "\(address.unmapped)"])
  }

  /// A handshake went on without the ratchet.
  func downgraded(_ id: SessionID, _ peer: PublicKey, heldChainLength: UInt64) {
    logger.warning(
      "the peer does not have the ratchet that is held for it: it lost its store, or someone has its key",
      metadata: ["zssp.session": "\(id)", "zssp.peer": "\(peer)", "zssp.chain_length": "\(heldChainLength)"])
  }

  /// A handshake of somebody else was not taken: there were too many, or the application refused it.
  func refused(_ request: AcceptRequest, _ reason: String, at now: Instant) {
    limited(.refusal, .debug, "handshake refused", at: now) {
      ["zssp.peer": "\(request.peer)", "zssp.address": "\(request.address.unmapped)", "zssp.reason": "\(reason)"]
    }
  }

  /// A handshake of somebody else waited too long for a decision.
  func expired(isUnread: Bool, at now: Instant) {
    if isUnread {
      limited(.expiry, .warning, "a handshake expired because nothing reads the endpoint's incoming", at: now) { [:] }
    } else {
      limited(.expiry, .debug, "a handshake was not decided on in time", at: now) { [:] }
    }
  }

  /// A handshake that the application accepted came to nothing.
  func failed(_ reason: DropReason, at now: Instant) {
    limited(.failure, .notice, "an accepted handshake failed", at: now) { ["zssp.reason": "\(reason)"] }
  }

  /// Datagrams were dropped.
  func dropped(_ reason: DropReason, _ count: UInt64, from source: Address, at now: Instant) {
    limited(.drop, .debug, "datagram dropped", at: now) {
      ["zssp.reason": "\(reason)", "zssp.address": "\(source.unmapped)", "zssp.count": "\(count)"]
    }
  }

  /// A session that is kept does not exist at the moment.
  func waiting(_ peer: PublicKey, _ pause: Duration, _ error: UDPError) {
    logger.info(
      "no session, another attempt follows",
      metadata: ["zssp.peer": "\(peer)", "zssp.pause": "\(pause)", "zssp.reason": "\(error)"])
  }

  /// The socket failed and is replaced.
  func socketFailed() { logger.warning("the socket failed and is bound again") }

  private func limited(
    _ kind: Kind, _ level: Logger.Level, _ message: Logger.Message, at now: Instant,
    _ metadata: () -> Logger.Metadata
  ) {
    guard logger.logLevel <= level else { return }
    let admission = limiter.withLockedValue { $0[kind, default: LogLimiter()].admit(at: now) }
    guard case .line(let suppressed) = admission else { return }
    var metadata = metadata()
    if suppressed > 0 { metadata["zssp.suppressed"] = "\(suppressed)" }
    logger.log(level: level, message, metadata: metadata)
  }
}

/// Bounds the lines that strangers can cause.
struct LogLimiter: Equatable {
  /// The lines of one kind in each second.
  static let linesPerSecond = 10

  /// Whether a line is written.
  enum Admission: Equatable {
    /// It is, after so many that were not.
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
  /// The address as people write it: `192.0.2.1:4500` or `[2001:db8::1]:4500`.
  package var text: String { Address(self).map { "\($0)" } ?? description }
}
