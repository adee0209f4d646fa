// SPDX-License-Identifier: Apache-2.0
package import Logging
import NIOConcurrencyHelpers
import ZSSP

/// The log of a tunnel, through swift-log. Its lines are sentences for people, with metadata for
/// programs, and never contain a secret.
///
/// | key | value |
/// |---|---|
/// | `zssp.interface` | the name of the device |
/// | `zssp.name` | the peer's name |
/// | `zssp.peer` | the peer's public key, base64 |
/// | `zssp.address` | an IP address and a port |
/// | `zssp.reason` | the reason, as text |
/// | `zssp.chain_length` | the number of handshakes in the ratchet chain |
/// | `zssp.suppressed` | the number of lines of this kind that were suppressed before this one |
///
/// Of lines that peers or strangers can cause at will, at most ``LineLimit/lines`` are logged per
/// ``LineLimit/period``, for each kind and peer.
package struct TunnelJournal: Sendable {
  /// The kinds of lines that are limited separately.
  enum Kind: Hashable {
    case stranger, lostRatchet, failedSession, session, end, move, network
  }

  private struct Key: Hashable {
    let kind: Kind
    let peer: Int?
  }

  /// The maximum number of limits that are kept.
  static let largestCount = 4096

  private let logger: Logger
  private let interface: String
  private let limits = NIOLockedValueBox<[Key: LineLimit]>([:])

  /// Makes a log of a tunnel.
  ///
  /// - Parameters:
  ///   - logger: The logger; nil for none.
  ///   - interface: The name of the tunnel's device.
  package init(_ logger: Logger?, interface: String) {
    self.logger = Self.marked(logger ?? Logger(label: "zssp") { _ in SwiftLogNoOpLogHandler() }, interface)
    self.interface = interface
  }

  /// Returns a logger for the tunnel's endpoint, whose lines name the device as well; nil for none.
  func endpointLogger(_ logger: Logger?) -> Logger? { logger.map { Self.marked($0, interface) } }

  private static func marked(_ logger: Logger, _ interface: String) -> Logger {
    var logger = logger
    logger[metadataKey: "zssp.interface"] = "\(interface)"
    return logger
  }

  /// The number of limits.
  var limitCount: Int { limits.withLockedValue(\.count) }

  /// Logs something usual.
  func info(_ message: String, _ fields: Logger.Metadata = [:]) { logger.info("\(message)", metadata: fields) }

  /// Logs something that someone should look at some time.
  func notice(_ message: String, _ fields: Logger.Metadata = [:]) { logger.notice("\(message)", metadata: fields) }

  /// Logs something that someone should look at soon.
  func warning(_ message: String, _ fields: Logger.Metadata = [:]) { logger.warning("\(message)", metadata: fields) }

  /// Logs an error.
  func error(_ message: String, _ fields: Logger.Metadata = [:]) { logger.error("\(message)", metadata: fields) }

  /// Logs an event that a peer or a stranger can cause, unless there were too many of them.
  ///
  /// - Parameters:
  ///   - kind: The kind of the event.
  ///   - peer: The number of the peer; nil for strangers.
  ///   - level: The level of the line.
  ///   - message: The sentence.
  ///   - fields: The metadata.
  ///   - now: The time.
  func limited(
    _ kind: Kind, of peer: Int?, level: Logger.Level, _ message: String, _ fields: Logger.Metadata,
    at now: Instant = TunnelClock.now
  ) {
    guard logger.logLevel <= level else { return }
    let key = Key(kind: kind, peer: peer)
    let admission = limits.withLockedValue { limits in
      // Peers that come and go have new numbers.
      if limits.count >= Self.largestCount, limits[key] == nil { limits = [:] }
      return limits[key, default: LineLimit()].allows(at: now)
    }
    guard admission.isAllowed else { return }
    var fields = fields
    if admission.omitted > 0 { fields["zssp.suppressed"] = "\(admission.omitted)" }
    logger.log(level: level, "\(message)", metadata: fields)
  }
}
