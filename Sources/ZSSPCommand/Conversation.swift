// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import NIOCore
import ZSSP
import ZSSPNIO

/// The conversation of `listen` and `connect` on an established session.
struct Conversation: Sendable {
  let session: Session
  /// The session's number in this run, for reports.
  let number: Int
  let options: Options
  let reporter: Reporter

  /// The options of a conversation.
  struct Options: Sendable {
    let echo: Bool
    let send: Int?
    let sizes: [Int]
    let interval: Int

    /// Calls `send` with the generated messages, and pauses between them.
    func sendMade(_ send: ([UInt8]) async throws -> Void) async throws {
      guard let count = self.send, !sizes.isEmpty else { return }
      for index in 0..<count {
        if index > 0, interval > 0 { try await Task.sleep(for: .milliseconds(interval)) }
        try await send(Pattern.make(UInt64(index), size: sizes[index % sizes.count]))
      }
    }
  }

  /// Reports each received message, and returns it with --echo, until the session ends or the task
  /// is cancelled.
  func receive() async {
    for await message in session.messages {
      report(message)
      guard options.echo else { continue }
      do {
        try await session.send(message)
      } catch {
        reportError("echo failed: \(error)")
      }
    }
  }

  /// Reports events of the session until it ends or the task is cancelled.
  func watch() async {
    for await event in session.events {
      switch event {
      case .confirmed: state("confirmed", text: "confirmed by \(session.peer.text)")
      case .restarted(let reason): state("restarted", text: "handshake restarted: \(reason)", reason: reason.rawValue)
      case .rekeyed(let chainLength): state("rekeyed", text: "new key", chainLength: chainLength)
      case .moved(_, let address): state("moved", text: "the peer is now at \(address.text)")
      case .ended(let reason):
        state("closed", text: "closed: \(reason)", reason: reason.rawValue)
        return
      // ``DowngradeWarning`` reports downgrades for all sessions together.
      case .downgraded: break
      }
    }
  }

  /// Sends the generated messages.
  func sendMade() async throws { try await options.sendMade { try await session.send($0) } }

  /// Reports that the session is established.
  func reportUp(as state: String, after duration: Duration? = nil) {
    var report = Report("session")
    report.state = state
    report.session = number
    report.peer = session.peer.text
    report.identity = String(decoding: session.establishment.identity, as: UTF8.self)
    report.address = session.remoteAddress.text
    report.chainLength = session.establishment.chainLength
    var text = "session \(number) \(state): \(session.peer.text)"
    if let duration {
      let milliseconds = duration / .milliseconds(1)
      report.milliseconds = milliseconds
      text += String(format: " in %.1f ms", milliseconds)
    }
    reporter.report(report, text: text)
  }

  /// Reports a message of the peer.
  func report(_ message: [UInt8]) {
    var report = Report("data")
    report.session = number
    report.length = message.count
    report.sha256 = SHA256.hash(data: message).map { String(format: "%02x", $0) }.joined()
    let isIntact = Pattern.check(message)
    report.pattern = isIntact.map { $0 ? "ok" : "damaged" }
    let content = isIntact == nil ? Terminal.printable(message.prefix(200)) : "made message"
    reporter.report(report, text: "session \(number): \(message.count) bytes: \(content)")
  }

  private func state(_ name: String, text: String, reason: String? = nil, chainLength: UInt64? = nil) {
    var report = Report("session")
    report.state = name
    report.session = number
    report.peer = session.peer.text
    report.reason = reason
    report.chainLength = chainLength
    reporter.report(report, text: "session \(number): \(text)")
  }

  func reportError(_ text: String) {
    var report = Report("error")
    report.session = number
    report.reason = text
    reporter.report(report, text: "session \(number): \(text)")
  }
}
