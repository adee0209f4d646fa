// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP

/// One line of `--json` output. Fields that do not apply are left out.
struct Report: Encodable, Sendable {
  /// listening, session, data, downgrade, rejected, error.
  var event: String
  /// For `session`: new (we accepted it), up (the peer accepted us), confirmed, restarted, rekeyed, moved, closed, waiting (for
  /// another attempt).
  var state: String?
  var address: String?
  var port: Int?
  var key: String?
  var peer: String?
  var identity: String?
  var session: Int?
  var length: Int?
  var sha256: String?
  /// For `data` that was made by `--send`: whether it is what was sent.
  var pattern: String?
  var chainLength: UInt64?
  var reason: String?
  var milliseconds: Double?

  init(_ event: String) { self.event = event }
}

/// Tells what happens: JSON lines on standard output if asked for, and text for people on standard error.
struct Reporter: Sendable {
  let json: Bool

  /// Reports one event. `text` is what people read.
  func report(_ report: Report, _ text: String) {
    Terminal.note(text)
    guard json else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let line = try? encoder.encode(report) else {
      return Terminal.error("cannot encode an event: \(report.event)")
    }
    Terminal.output(String(decoding: line, as: UTF8.self))
  }
}
