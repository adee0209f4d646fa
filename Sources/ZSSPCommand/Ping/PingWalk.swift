// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization
import ZSSP
import ZSSPNIO

/// The steps of `zssp ping`: the name, Hellos to its addresses, a session, probes.
struct PingWalk: Sendable {
  let target: String
  let probe: PeerProbe
  /// True if this side's static key was made for this run.
  let hasNewKey: Bool
  /// True to open a session even if the peer has lost its ratchet.
  var ignoresLostRatchet = false
  /// The reason to give if no session is opened; nil to say nothing.
  var reasonForNoSession: String?
  let reporter: PingReporter

  /// The end of a walk.
  struct Outcome: Sendable, Equatable {
    /// True if the peer has proved its key, in the way that a session would ask.
    var isAnswered: Bool
    /// True if the peer refused the key that the user gave.
    var isRefused = false

    /// Fails as the exit code says.
    ///
    /// - Throws: ``CommandFailure/failed(_:)``.
    func check(_ target: String) throws(CommandFailure) {
      guard isAnswered else { throw .failed("no answer from \(target)") }
      guard !isRefused else { throw .failed("\(target) answers, and there is no session with it") }
    }
  }

  /// Runs all steps.
  ///
  /// - Parameters:
  ///   - store: The store of the session; nil to open none.
  ///   - identity: This side's description of itself.
  ///   - count: The number of probes that follow.
  ///   - interval: The pause between them.
  /// - Throws: ``CommandFailure``.
  func run(
    store: (any RatchetStore)?, identity: [UInt8] = [], count: Int = 0, interval: Duration = .seconds(1)
  ) async throws(CommandFailure) -> Outcome {
    var seen = Diagnosis.Observations()
    let addresses: [SocketAddress]
    do { addresses = try await NameResolver.system.addresses(target) } catch {
      reporter.notResolved(target, error)
      seen.isResolved = false
      reporter.diagnosis(Diagnosis(seen))
      throw error.commandFailure
    }
    reporter.resolved(target, addresses)
    let reachable = addresses.filter { probe.source?.reaches($0) ?? true }
    if let source = probe.source, reachable.isEmpty, let first = addresses.first {
      throw .usage("--bind \(source.text): \(first.text) is of the other address family; bind to an address of it")
    }
    var answering: Address?
    for address in reachable {
      guard let address = Address(address), address.port != 0 else {
        throw .usage("\(target): an IP address and a port other than 0 are needed")
      }
      seen = try await observe(address)
      if seen.isAnswered {
        answering = address
        break
      }
      // Of several addresses each has its own causes.
      if reachable.count > 1, address != reachable.last.flatMap({ Address($0) }) { reporter.diagnosis(Diagnosis(seen)) }
    }
    guard let answering, seen.isAnswered(.asConfigured) else {
      reporter.diagnosis(Diagnosis(seen))
      return Outcome(isAnswered: false)
    }
    seen.hasNewKey = hasNewKey
    seen.packetSize = probe.configuration.settings.mtu + (answering.unmapped.family == .ipv4 ? 28 : 48)
    var isSession = false
    // An open session would give up the ratchet that the peer has lost, or that someone else does
    // not have.
    let hasLostRatchet = Diagnosis(seen).causes.contains { $0.kind == .lostRatchet }
    if let store, !hasLostRatchet || ignoresLostRatchet {
      isSession = try await openSession(
        to: answering, store: store, identity: identity, count: count, interval: interval, seen: &seen)
    } else {
      let reason =
        store == nil ? reasonForNoSession : "the peer has not used the ratchet; --session opens one without it"
      if let reason { reporter.sessionSkipped(reason) }
    }
    reporter.diagnosis(Diagnosis(seen))
    if count > 0, !isSession {
      await sendHellos(
        count, naming: seen.attempt(.asConfigured)?.state ?? 0, every: interval, to: answering)
    }
    let isRefused = seen.session.map { $0 != .accepted && !hasNewKey } ?? hasLostRatchet
    return Outcome(isAnswered: true, isRefused: isRefused)
  }

  private func observe(_ address: Address) async throws(CommandFailure) -> Diagnosis.Observations {
    let reporter = reporter
    do {
      return try await probe.run(to: address) { reporter.step($0) }
    } catch {
      throw error.commandFailure(binding: probe.source?.text)
    }
  }

  // MARK: A session

  /// Opens a session, and probes on it. Returns true if there was one.
  private func openSession(
    to address: Address, store: any RatchetStore, identity: [UInt8], count: Int, interval: Duration,
    seen: inout Diagnosis.Observations
  ) async throws(CommandFailure) -> Bool {
    let remote = SocketAddress(address)
    let source = if let source = probe.source { source } else { try AddressReader.any(like: remote) }
    let endpoint = try await Tool.bind(source, configuration: probe.configuration, store: store)
    let clock = ContinuousClock()
    let start = clock.now
    var session: Session?
    do throws(UDPError) {
      let opened = try await endpoint.connect(
        to: remote, key: probe.key, identity: identity, timeout: probe.patience)
      session = opened
      seen.session = .accepted
      reporter.session(
        .accepted, error: nil, after: clock.now - start, chainLength: opened.establishment.chainLength)
    } catch {
      let outcome = Diagnosis.SessionOutcome(error)
      seen.session = outcome
      if case .timeout(.challenged) = error { seen.sessionWasChallenged = true }
      reporter.session(outcome, error: error, after: clock.now - start, chainLength: nil)
    }
    if let session, count > 0 { await PingSeries(session, reporter: reporter).run(count, every: interval) }
    await session?.close()
    await endpoint.close()
    return session != nil
  }

  // MARK: Hellos

  private func sendHellos(_ count: Int, naming state: Int, every interval: Duration, to address: Address) async {
    var summary = PingSummary()
    var single = probe
    single.patience = min(probe.patience, max(interval, .seconds(1)))
    for number in 1...count where !Task.isCancelled {
      if number > 1 { try? await Task.sleep(for: interval) }
      summary.sent += 1
      var answer: ProbeObservation.Answer?
      do { answer = try await single.single(naming: state, to: address).answer } catch { Terminal.error("\(error)") }
      if let answer {
        summary.answered += 1
        if let time = answer.roundTrip { summary.roundTrips.append(time) }
      }
      reporter.probe(number, isAnswered: answer != nil, after: answer?.roundTrip)
    }
    reporter.summary(summary)
  }
}

extension Diagnosis.SessionOutcome {
  fileprivate init(_ error: UDPError) {
    self =
      switch error {
      case .rejected: .refused
      case .timeout(.notConfirmed): .notConfirmed
      case .timeout(.ratchetConflict), .sessionEnded(.ratchetConflict): .ratchetConflict
      default: .noAnswer
      }
  }
}

/// Probes on a session (C1), which the peer answers without its application (C2).
private final class PingSeries: MessageHandler {
  private struct State {
    var summary = PingSummary()
    /// The number of the probe without an answer; nil if the last was answered.
    var open: Int?
  }

  private let session: Session
  private let reporter: PingReporter
  private let state = Mutex(State())

  init(_ session: Session, reporter: PingReporter) {
    self.session = session
    self.reporter = reporter
  }

  func run(_ count: Int, every interval: Duration) async {
    do { try await session.setMessageHandler(self) } catch { return Terminal.error("\(error)") }
    for number in 1...count where !Task.isCancelled && session.endReason == nil {
      if let lost = state.withLock({ state in begin(number, &state) }) {
        reporter.probe(lost, isAnswered: false, after: nil)
      }
      await session.probe()
      if number < count {
        try? await Task.sleep(for: interval)
      } else {
        await waitForAnswer(at: max(interval, .seconds(1)))
      }
    }
    let (last, summary) = state.withLock { ($0.open, $0.summary) }
    if let last { reporter.probe(last, isAnswered: false, after: nil) }
    reporter.summary(summary)
  }

  /// Returns the number of the probe before, if it was not answered.
  private func begin(_ number: Int, _ state: inout State) -> Int? {
    defer { state.open = number }
    state.summary.sent += 1
    return state.open
  }

  private func waitForAnswer(at longest: Duration) async {
    let end = ContinuousClock.now + longest
    while ContinuousClock.now < end, !Task.isCancelled, state.withLock({ $0.open != nil }) {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  func answered(roundTrip: Duration?) {
    let number = state.withLock { state -> Int? in
      guard let number = state.open.take() else { return nil }
      state.summary.answered += 1
      if let roundTrip { state.summary.roundTrips.append(roundTrip) }
      return number
    }
    if let number { reporter.probe(number, isAnswered: true, after: roundTrip) }
  }

  /// The messages of the peer's application do not matter here.
  func receive(_ message: RawSpan) {}
}
