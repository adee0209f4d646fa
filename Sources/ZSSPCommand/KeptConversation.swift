// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP
import ZSSPNIO

/// What `connect` does with a session that is opened again whenever it ends.
final class KeptConversation: Sendable {
  private let session: ReconnectingSession
  private let options: Conversation.Options
  private let reporter: Reporter
  private let start: ContinuousClock.Instant
  /// The conversation over the session at the moment, or the last one.
  private let current = Mutex<Conversation?>(nil)

  /// - Parameter start: when the first attempt began.
  init(
    _ session: ReconnectingSession, _ options: Conversation.Options, _ reporter: Reporter,
    since start: ContinuousClock.Instant
  ) {
    self.session = session
    self.options = options
    self.reporter = reporter
    self.start = start
  }

  /// Talks until there is nothing left to say or the time is over.
  ///
  /// - Throws: why there never was a session, or what makes further attempts pointless.
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

  /// Waits for the first session. Without one there is nothing to be kept.
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

  /// Reports one session after another.
  private func follow() async throws(UDPError) {
    var number = 0
    for await state in session.states {
      switch state {
      case .connecting: break
      case .connected:
        // It may have ended already; then the next state says so.
        guard let session = session.session else { continue }
        number += 1
        let conversation = Conversation(session: session, number: number, options: options, reporter: reporter)
        current.withLock { $0 = conversation }
        conversation.reportUp(as: "up", after: number == 1 ? ContinuousClock().now - start : nil)
        await conversation.watch()
      case .waiting(let pause, let error):
        var report = Report("session")
        (report.state, report.session, report.peer) = ("waiting", number, session.peer.text)
        (report.reason, report.milliseconds) = ("\(error)", pause / .milliseconds(1))
        reporter.report(report, "no session (\(error)): another attempt in \(pause)")
      case .ended(let error):
        if !Task.isCancelled { throw error }
      }
    }
  }

  /// Reports everything that comes, and sends it back if asked to.
  private func receive() async {
    for await message in session.messages {
      // Messages come through a queue of their own, and may be ahead of the report of their session.
      while current.withLock({ $0 }) == nil, !Task.isCancelled {
        // Cut short when the task is cancelled, which is looked at.
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
