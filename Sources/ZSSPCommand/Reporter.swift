// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP

/// A line of `--json` output. Fields that do not apply are omitted.
struct Report: Encodable, Sendable {
  /// The kind of event: listening, metrics (served), session, data, downgrade, rejected, error.
  var event: String
  /// The state for `session`: new (accepted here), up (opened here), confirmed, restarted, rekeyed,
  /// moved, closed, waiting (for another attempt).
  var state: String?
  var address: String?
  var port: Int?
  var key: String?
  var peer: String?
  var identity: String?
  var session: Int?
  var length: Int?
  var sha256: String?
  /// The result for generated `data`: "ok" or "damaged".
  var pattern: String?
  var chainLength: UInt64?
  var reason: String?
  var milliseconds: Double?

  init(_ event: String) { self.event = event }
}

/// Reports events: as text on standard error, and with `json` also as JSON lines on standard
/// output.
struct Reporter: Sendable {
  let json: Bool

  /// Reports an event.
  ///
  /// - Parameters:
  ///   - report: The event, for `--json`.
  ///   - isWarning: True if people should look at it soon. The default is false.
  ///   - text: The event for people.
  func report(_ report: Report, isWarning: Bool = false, text: String) {
    if isWarning { Terminal.warning(text) } else { Terminal.note(text) }
    guard json else { return }
    do { try Terminal.output(json: report) } catch { Terminal.error("cannot encode an event: \(error)") }
  }
}
