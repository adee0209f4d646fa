// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// The likely causes of a handshake that does not lead to a session: a pure function of what this
/// side observed.
package struct Diagnosis: Sendable, Hashable {
  /// The kinds of causes.
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    case nameUnknown
    case noRoute
    case hostDown
    case portClosed
    /// A firewall drops datagrams in silence.
    case firewall
    /// A firewall reports that it rejects datagrams.
    case firewallRejects
    case smallMTU
    /// This host's device, or its queue, does not take the datagrams.
    case localDevice
    case wrongKey
    case wrongProfile
    case lostRatchet
    /// Datagrams are lost, or the peer answers late.
    case packetLoss
    /// The peer answers only those whose ratchet, or one-time password, it knows.
    case ratchetNeeded
    case busy
    /// The address of this side changes between datagrams.
    case changingAddress
    case refused
    case notAccepted
    case ratchetConflict
  }

  /// The strength of the evidence for a cause.
  package enum Certainty: String, Sendable, Hashable, CaseIterable {
    /// The observations have no other explanation, but for forged reports.
    case certain
    case likely
    case possible
  }

  /// A cause, and what to do about it.
  package struct Cause: Sendable, Hashable {
    package let kind: Kind
    package let certainty: Certainty
    /// The cause in words.
    package let text: String
    /// The action that removes it, with the options of `zssp ping`.
    package let remedy: String
    /// The same with the keys of a tunnel's file and the options of `zssp tunnel check`.
    package let tunnelRemedy: String

    /// Makes a cause.
    ///
    /// - Parameters:
    ///   - kind: The kind.
    ///   - certainty: The strength of the evidence.
    ///   - text: The cause in words.
    ///   - remedy: The action that removes it.
    ///   - tunnelRemedy: The action for a tunnel; nil if it is the same.
    init(
      _ kind: Kind, _ certainty: Certainty, _ text: String, do remedy: String, inTunnel tunnelRemedy: String? = nil
    ) {
      self.kind = kind
      self.certainty = certainty
      self.text = text
      self.remedy = remedy
      self.tunnelRemedy = tunnelRemedy ?? remedy
    }
  }

  /// The end of an attempt to open a session.
  package enum SessionOutcome: String, Sendable, Hashable, CaseIterable {
    case accepted
    /// The peer's application, or its policy, refused this side.
    case refused
    /// The peer did not confirm in time.
    case notConfirmed
    /// Another session changed the ratchet first.
    case ratchetConflict
    /// The peer did not answer this time.
    case noAnswer
  }

  /// The observations of this side.
  package struct Observations: Sendable, Hashable {
    package var profile = Profile.kyber1024
    /// The number of ratchet states that this side holds for the peer; 1 for a one-time password.
    package var heldStates = 0
    /// True if this side's static key was made for this run, so that no peer can know it.
    package var hasNewKey = false
    /// False if the name was not resolved.
    package var isResolved = true
    /// The system's error for sending anything to the address.
    package var localError: NetworkReport?
    /// The Hellos, in order; the first is as a session would send it.
    package var attempts: [ProbeObservation] = []
    /// The smallest limit of packets that the network has reported.
    package var reportedMTU: Int?
    /// True if the host reported another port as closed; false if it did not; nil if unknown.
    package var hostAnswers: Bool?
    /// The end of an attempt to open a session; nil if there was none.
    package var session: SessionOutcome?
    /// True if the attempt to open a session got a challenge, and not the answer to it.
    package var sessionWasChallenged = false
    /// The largest datagram of data that a session would send, in bytes of packets.
    package var packetSize: Int?

    package init() {}

    /// Returns the attempt with a purpose; of several, the one that came furthest.
    package func attempt(_ purpose: ProbePurpose) -> ProbeObservation? {
      let attempts = attempts.filter { $0.purpose == purpose }
      return attempts.first { $0.answer?.usedRatchet == true } ?? attempts.first { $0.answer != nil }
        ?? attempts.first
    }

    /// True if the peer has sent a challenge, which it does under load.
    var wasChallenged: Bool { sessionWasChallenged || attempts.contains { $0.challenges > 0 } }

    /// True if this side holds a ratchet state, or a one-time password, for the peer.
    var holdsRatchet: Bool { heldStates > 0 }

    /// True if the peer has answered a Hello with each state that this side holds.
    fileprivate var isEachStateAnswered: Bool {
      let answered = attempts.filter { $0.purpose == .asConfigured && $0.answer != nil }
      return Set(answered.compactMap(\.state)).count >= heldStates
    }

    /// True if the peer has used a ratchet that this side holds.
    var usedRatchet: Bool { attempt(.asConfigured)?.answer?.usedRatchet ?? false }

    /// Returns true if the Hello with a purpose got an authentic answer.
    package func isAnswered(_ purpose: ProbePurpose) -> Bool { attempt(purpose)?.answer != nil }

    /// True if the peer has proved its key, in whatever way it was asked.
    package var isAnswered: Bool { attempts.contains { $0.answer != nil } }
  }

  /// The causes, the most likely first; none if everything works.
  package let causes: [Cause]

  /// Derives the causes from observations.
  package init(_ seen: Observations) {
    if !seen.isResolved {
      causes = [Self.nameUnknown]
    } else if let error = seen.localError {
      causes = [Self.noRoute(error)]
    } else if let answer = seen.attempt(.asConfigured)?.answer {
      causes = Self.afterAnswer(answer, seen)
    } else {
      causes = Self.withoutAnswer(seen)
    }
  }

  /// Derives the causes from that of a failed attempt to open a session, about which less is known.
  package init(_ cause: TimeoutCause) {
    causes =
      switch cause {
      case .notResolved: [Self.nameUnknown]
      case .noAnswer:
        [
          Self.firewall(.possible), Self.wrongKey(.possible), Self.wrongProfile(nil, .possible),
          Self.ratchetNeeded(.possible, holds: true),
        ]
      case .networkRefused: [Self.portClosed(.likely), Self.firewallRejects(.possible)]
      case .challenged:
        [
          Self.wrongKey(.likely), Self.wrongProfile(nil, .possible), Self.busy(.possible),
          Self.notAccepted(.possible),
        ]
      case .notAuthentic: [Self.wrongProfile(nil), Self.ratchetsDiffer(.likely)]
      case .notConfirmed: [Self.notAccepted(.likely), Self.refusedSilently(.possible)]
      case .ratchetConflict: [Self.ratchetConflict]
      }
  }

  /// The causes as indented lines, each after a line feed.
  package var text: String {
    causes.map { cause in
      "\n  * \(cause.text)\(cause.certainty == .certain ? "" : " (\(cause.certainty.rawValue))")\n    \(cause.remedy)"
    }
    .joined()
  }

  // MARK: Rules

  /// The peer has proved its key to the Hello that a session would send.
  private static func afterAnswer(_ answer: ProbeObservation.Answer, _ seen: Observations) -> [Cause] {
    var causes: [Cause] = []
    if seen.holdsRatchet, !answer.usedRatchet {
      causes.append(seen.isEachStateAnswered ? lostRatchet : oneStateUnknown)
    }
    switch seen.session {
    case .refused: causes.append(refused(isNewKey: seen.hasNewKey))
    case .notConfirmed: causes += [notAccepted(.likely), refusedSilently(.possible)]
    case .ratchetConflict: causes.append(ratchetConflict)
    case .noAnswer: causes += noSession(seen)
    case .accepted, nil: break
    }
    if let mtu = seen.reportedMTU, mtu < seen.packetSize ?? 0 { causes.append(smallMTU(.certain, mtu)) }
    return causes
  }

  /// The Hello was answered, and the session's handshake was not.
  private static func noSession(_ seen: Observations) -> [Cause] {
    if let report = seen.attempts.compactMap(\.localObstacle).first { return [localDevice(report, .likely)] }
    var causes = [lateLoss]
    // A limit that was reported is a cause by itself.
    if seen.reportedMTU == nil { causes.append(smallMTU(.possible, nil)) }
    if seen.wasChallenged { causes.append(busy(.possible)) }
    return causes
  }

  private static func withoutAnswer(_ seen: Observations) -> [Cause] {
    if let other = seen.attempt(.otherProfile), other.answer != nil { return [wrongProfile(other.profile)] }
    let first = seen.attempt(.asConfigured) ?? ProbeObservation()
    let isForged = seen.attempts.contains { $0.purpose == .asConfigured && $0.forged > 0 }
    // A peer that does not know a ratchet, and may go on without it, says so when it is named. So
    // an answer to this variant alone shows that others were lost.
    if seen.isAnswered(.withoutRatchet) {
      return isForged
        ? [ratchetsDiffer(.likely), packetLoss(.possible)] : [packetLoss(.likely), ratchetsDiffer(.possible)]
    }
    let largest = (first.sent.max() ?? 0) + 28
    let isReportedSmall = seen.reportedMTU.map { $0 < largest } ?? false
    if let report = first.localObstacle, !isReportedSmall {
      return [localDevice(report, report.kind == .tooBig ? .certain : .likely)]
    }
    if seen.isAnswered(.smallDatagrams) {
      return seen.reportedMTU == nil
        ? [smallMTU(.likely, nil), packetLoss(.possible)] : [smallMTU(.certain, seen.reportedMTU)]
    }
    if isReportedSmall { return [smallMTU(.certain, seen.reportedMTU)] }
    if isForged { return [ratchetsDiffer(.likely), wrongProfile(nil)] }
    if !first.fragments.isEmpty { return [incompleteAnswer] + (seen.wasChallenged ? [busy(.possible)] : []) }
    if first.challenges > 1, first.solved > 0 { return [busy(.likely), changingAddress, wrongKey(.possible)] }
    // A challenge that was not answered yet says nothing of the key.
    if first.challenges > 0, first.solved == 0 { return [busy(.likely), wrongKey(.possible)] }
    if first.challenges > 0 {
      return keyOrRatchet(seen) + [busy(.possible)]
    }
    if let causes = reported(first.reports) { return causes }
    return silence(seen)
  }

  /// The causes that the network's reports show.
  private static func reported(_ reports: [NetworkReport]) -> [Cause]? {
    let kinds = Set(reports.map(\.kind))
    if kinds.contains(.prohibited) { return [firewallRejects(.certain)] }
    if kinds.contains(.portUnreachable) { return [portClosed(.likely), firewallRejects(.possible)] }
    if kinds.contains(.hostUnreachable) { return [hostDown(.likely)] }
    if let report = reports.first(where: { $0.kind == .networkUnreachable || $0.kind == .timeExceeded }) {
      return [noRoute(report)]
    }
    return nil
  }

  /// Nothing came back, whatever was sent.
  private static func silence(_ seen: Observations) -> [Cause] {
    // A closed port would have been reported, as the other one was.
    if seen.hostAnswers == true { return keyOrRatchet(seen) + [firewall(.possible)] }
    return [
      firewall(.likely), hostDown(.possible), wrongKey(.possible),
      ratchetNeeded(.possible, holds: seen.holdsRatchet),
    ]
  }

  /// The reasons why a responder does not answer a Hello that it gets. Whoever holds a ratchet had
  /// the right key once.
  private static func keyOrRatchet(_ seen: Observations) -> [Cause] {
    seen.holdsRatchet
      ? [ratchetNeeded(.likely, holds: true), wrongKey(.possible)]
      : [wrongKey(.likely), ratchetNeeded(.possible, holds: false)]
  }
}
