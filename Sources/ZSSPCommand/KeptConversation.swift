// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP
import ZSSPNIO

/// The conversation of `connect` on a session that is reopened whenever it ends.
final class KeptConversation: Sendable {
  private let session: ReconnectingSession
  private let options: Conversation.Options
  private let reporter: Reporter
  private let start: ContinuousClock.Instant
  /// The conversation on the current session, or the last one.
  private let current = Mutex<Conversation?>(nil)

  /// - Parameter start: The start of the first attempt.
  init(
    _ session: ReconnectingSession, options: Conversation.Options, reporter: Reporter,
    since start: ContinuousClock.Instant
  ) {
    self.session = session
    self.options = options
    self.reporter = reporter
    self.start = start
  }

  /// Exchanges messages until all are sent and none is expected, or the time is over.
  ///
  /// - Throws: The error of the first attempt, or one that makes further attempts pointless.
  func run(readsInput: Bool, duration: Double?) async throws(UDPError) {
    let session = session
    let failure: UDPError?
    do {
      try await firstSession()
      try await Talk(readsInput: readsInput, duration: duration, options: options).run(
        receiving: [{ try await self.follow() }, { await self.receive() }]
      ) { try await session.send($0) }
      failure = nil
    } catch {
      failure = error
    }
    await session.close()
    if let failure { throw failure }
  }

  /// Waits for the first session.
  ///
  /// - Throws: ``UDPError`` if the first attempt fails.
  private func firstSession() async throws(UDPError) {
    for await state in session.states {
      switch state {
      case .connecting: break
      case .connected: return
      case .waiting(_, let error), .ended(let error): throw error
      }
    }
    throw .cancelled
  }

  /// Reports each session in turn.
  private func follow() async throws(UDPError) {
    var number = 0
    for await state in session.states {
      switch state {
      case .connecting: break
      case .connected:
        // The session may have ended already. The next state reports that.
        guard let session = session.session else { continue }
        number += 1
        let conversation = Conversation(session: session, number: number, options: options, reporter: reporter)
        current.withLock { $0 = conversation }
        conversation.reportUp(as: "up", after: number == 1 ? ContinuousClock().now - start : nil)
        await conversation.watch()
      case .waiting(let pause, let error):
        var report = Report("session")
        report.state = "waiting"
        report.session = number
        report.peer = session.peer.text
        report.reason = "\(error)"
        report.milliseconds = pause / .milliseconds(1)
        reporter.report(report, text: "no session (\(error)): another attempt in \(pause)")
      case .ended(let error):
        if !Task.isCancelled { throw error }
      }
    }
  }

  /// Reports each received message, and returns it with --echo.
  private func receive() async {
    for await message in session.messages {
      // Messages have a separate queue, and may precede the report of their session.
      while current.withLock({ $0 }) == nil, !Task.isCancelled {
        // A cancelled sleep is followed by the check above.
        try? await Task.sleep(for: .milliseconds(1))
      }
      guard let conversation = current.withLock({ $0 }) else { return }
      conversation.report(message)
      guard options.echo else { continue }
      do {
        try await session.send(message, whenDisconnected: .drop)
      } catch {
        conversation.reportError("echo failed: \(error)")
      }
    }
  }
}
