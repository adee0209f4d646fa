// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPNIO

/// The causes follow from the observations, the most likely first.
@Suite(.tags(.fast))
struct DiagnosisTests {
  typealias Kind = Diagnosis.Kind

  struct Row: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let seen: Diagnosis.Observations
    let kinds: [Kind]
    let first: Diagnosis.Certainty?

    init(
      _ name: String, _ kinds: [Kind], _ first: Diagnosis.Certainty? = nil,
      _ change: (inout Diagnosis.Observations) -> Void
    ) {
      var seen = Diagnosis.Observations()
      change(&seen)
      testDescription = name
      self.seen = seen
      self.kinds = kinds
      self.first = first
    }
  }

  private static func attempt(
    _ purpose: ProbePurpose = .asConfigured, profile: Profile = .kyber1024, state: Int? = nil,
    _ change: (inout ProbeObservation) -> Void = { _ in }
  ) -> ProbeObservation {
    var observation = ProbeObservation(purpose, profile: profile, naming: state)
    observation.sent = [891, 890]
    observation.hellos = 4
    change(&observation)
    return observation
  }

  private static func answered(
    _ purpose: ProbePurpose = .asConfigured, profile: Profile = .kyber1024, state: Int? = nil, used: Bool = false
  ) -> ProbeObservation {
    attempt(purpose, profile: profile, state: state) {
      $0.answer = ProbeObservation.Answer(roundTrip: .milliseconds(3), usedRatchet: used)
    }
  }

  private static func reported(_ kind: NetworkReport.Kind) -> ProbeObservation {
    attempt { $0.reports = [NetworkReport(kind, text: "x")] }
  }

  static let rows = [
    Row("everything works", []) {
      $0.attempts = [answered()]; $0.session = .accepted
    },
    Row("the Hello works, and no session was tried", []) { $0.attempts = [answered()] },
    Row("the ratchet is used", []) {
      $0.heldStates = 1; $0.attempts = [answered(state: 0, used: true)]
    },
    Row("an unknown name", [.nameUnknown], .certain) { $0.isResolved = false },
    Row("no route", [.noRoute], .certain) { $0.localError = NetworkReport(.networkUnreachable) },
    // The six troubles that an operator meets most.
    Row("a wrong key, and the host is up", [.wrongKey, .ratchetNeeded, .firewall], .likely) {
      $0.attempts = [attempt(), attempt(.otherProfile), attempt(.smallDatagrams)]
      $0.hostAnswers = true
    },
    Row("a ratchet that the peer does not know, and the host is up", [.ratchetNeeded, .wrongKey, .firewall], .likely) {
      $0.heldStates = 1
      $0.attempts = [attempt(state: 0), attempt(.withoutRatchet)]
      $0.hostAnswers = true
    },
    Row("a wrong profile", [.wrongProfile], .certain) {
      $0.attempts = [attempt(), answered(.otherProfile, profile: .mlkem1024), attempt(.smallDatagrams)]
    },
    Row("a firewall in silence", [.firewall, .hostDown, .wrongKey, .ratchetNeeded], .likely) {
      $0.attempts = [attempt(), attempt(.otherProfile), attempt(.smallDatagrams)]
      $0.hostAnswers = false
    },
    Row("a firewall that reports", [.firewallRejects], .certain) { $0.attempts = [reported(.prohibited)] },
    Row("a small MTU that is reported", [.smallMTU], .certain) {
      $0.attempts = [attempt()]
      $0.reportedMTU = 800
    },
    Row("a small MTU in silence, or loss", [.smallMTU, .packetLoss], .likely) {
      $0.attempts = [attempt(), attempt(), answered(.smallDatagrams)]
    },
    Row("a small MTU that is reported, and small datagrams pass", [.smallMTU], .certain) {
      $0.attempts = [attempt(), attempt(), answered(.smallDatagrams)]
      $0.reportedMTU = 800
    },
    Row("small datagrams pass, and the same Hello again does", []) {
      $0.attempts = [attempt(), answered(), answered(.smallDatagrams)]
    },
    Row("a small MTU that only data meets", [.smallMTU], .certain) {
      $0.attempts = [answered()]
      $0.reportedMTU = 1300
      $0.packetSize = 1428
    },
    Row("a limit that no datagram meets", []) {
      $0.attempts = [answered()]
      $0.reportedMTU = 1428
      $0.packetSize = 1428
    },
    Row("a part of the answer", [.smallMTU], .likely) { $0.attempts = [attempt { $0.fragments = [843] }] },
    Row("a challenge, and a part of the answer", [.smallMTU, .busy], .likely) {
      $0.attempts = [
        attempt {
          $0.challenges = 1
          $0.solved = 1
          $0.fragments = [843]
        }
      ]
    },
    Row("this host has no buffers for the Hello", [.localDevice], .likely) {
      $0.attempts = [reported(.noBuffers), answered(.smallDatagrams)]
    },
    Row("this host's device is too small", [.localDevice], .certain) { $0.attempts = [reported(.tooBig)] },
    Row("a large datagram that only measures the path", [.firewall, .hostDown, .wrongKey, .ratchetNeeded], .likely) {
      $0.attempts = [attempt { $0.reports = [NetworkReport(.tooBig, text: "x", mtu: 1500)] }]
    },
    Row("a lost ratchet", [.lostRatchet], .certain) {
      $0.heldStates = 1; $0.attempts = [answered(state: 0)]
    },
    // A peer that lacks the ratchet answers the Hello that names it, so this is loss, or delay.
    Row("an answer only without the ratchet", [.packetLoss, .lostRatchet], .likely) {
      $0.heldStates = 1
      $0.attempts = [attempt(state: 0), attempt(state: 0), answered(.withoutRatchet)]
    },
    Row("an answer only without the ratchet, and another that is not authentic", [.lostRatchet, .packetLoss], .likely) {
      $0.heldStates = 1
      $0.attempts = [attempt(state: 0), attempt(state: 0) { $0.forged = 1 }, answered(.withoutRatchet)]
    },
    Row("a late answer to the first Hello", []) {
      $0.heldStates = 1
      $0.attempts = [answered(state: 0, used: true), attempt(state: 0), answered(.withoutRatchet)]
    },
    Row("both states are unknown", [.lostRatchet], .certain) {
      $0.heldStates = 2
      $0.attempts = [answered(state: 0), answered(state: 1)]
    },
    Row("one of two states is unknown, and the other not answered", [.lostRatchet], .possible) {
      $0.heldStates = 2
      $0.attempts = [answered(state: 0), attempt(state: 1)]
    },
    Row("the first of two states is answered at the second time", [.lostRatchet], .certain) {
      $0.heldStates = 2
      $0.attempts = [attempt(state: 0), answered(state: 1), answered(state: 0)]
    },
    Row("the newer of two states is used", []) {
      $0.heldStates = 2
      $0.attempts = [answered(state: 0), answered(state: 1, used: true)]
    },
    Row("a ratchet of another branch", [.lostRatchet, .wrongProfile], .likely) {
      $0.heldStates = 1
      $0.attempts = [attempt(state: 0) { $0.forged = 2 }]
    },
    Row("a challenge loop", [.busy, .changingAddress, .wrongKey], .likely) {
      $0.attempts = [
        attempt {
          $0.challenges = 3
          $0.solved = 3
        }
      ]
    },
    Row("a challenge, and no time to answer it", [.busy, .wrongKey], .likely) {
      $0.attempts = [attempt { $0.challenges = 1 }]
    },
    Row("a challenge, and silence", [.wrongKey, .ratchetNeeded, .busy], .likely) {
      $0.attempts = [
        attempt {
          $0.challenges = 1
          $0.solved = 1
        }
      ]
    },
    Row("nothing listens", [.portClosed, .firewallRejects], .likely) { $0.attempts = [reported(.portUnreachable)] },
    Row("no such host", [.hostDown], .likely) { $0.attempts = [reported(.hostUnreachable)] },
    Row("a router without a route", [.noRoute], .certain) { $0.attempts = [reported(.networkUnreachable)] },
    Row("a loop of routers", [.noRoute], .certain) { $0.attempts = [reported(.timeExceeded)] },
    Row("a refused key", [.refused], .certain) {
      $0.attempts = [answered()]; $0.session = .refused
    },
    Row("nothing accepts", [.notAccepted, .refused], .likely) {
      $0.attempts = [answered()]
      $0.session = .notConfirmed
    },
    Row("two processes", [.ratchetConflict], .likely) {
      $0.attempts = [answered()]; $0.session = .ratchetConflict
    },
    Row("a Hello is answered, and the session's is not", [.packetLoss, .smallMTU], .likely) {
      $0.attempts = [answered()]
      $0.session = .noAnswer
    },
    Row("the session's Hello is challenged, and not answered", [.packetLoss, .smallMTU, .busy], .likely) {
      $0.attempts = [answered()]
      $0.session = .noAnswer
      $0.sessionWasChallenged = true
    },
    Row("a session that does not come, and a reported limit", [.packetLoss, .smallMTU], .likely) {
      $0.attempts = [answered()]
      $0.session = .noAnswer
      $0.reportedMTU = 1300
      $0.packetSize = 1428
    },
    Row("a session that does not come, and no buffers", [.localDevice], .likely) {
      var observation = answered()
      observation.reports = [NetworkReport(.noBuffers, text: "x")]
      $0.attempts = [observation]
      $0.session = .noAnswer
    },
  ]

  @Test(arguments: rows) func causes(_ row: Row) {
    let causes = Diagnosis(row.seen).causes
    #expect(causes.map(\.kind) == row.kinds)
    #expect(row.first == nil || causes.first?.certainty == row.first)
    for cause in causes { #expect(!cause.text.isEmpty && !cause.remedy.isEmpty) }
  }

  /// `zssp tunnel check` has no other options of these than `--timeout`.
  @Test(arguments: rows) func remediesForTunnels(_ row: Row) {
    for cause in Diagnosis(row.seen).causes {
      #expect(!cause.tunnelRemedy.replacing("--timeout", with: "").contains("--"), "\(cause.tunnelRemedy)")
    }
  }

  /// What came from the probed port shows that it is open.
  @Test func whatIsHeard() {
    #expect(!Self.attempt().isHeard && Self.answered(.smallDatagrams).isHeard)
    #expect(Self.attempt { $0.challenges = 1 }.isHeard && Self.attempt { $0.fragments = [843] }.isHeard)
  }

  /// The failures of `connect` have the same causes and remedies.
  @Test(arguments: [
    (TimeoutCause.notResolved, [Kind.nameUnknown]),
    (.noAnswer, [.firewall, .wrongKey, .wrongProfile, .ratchetNeeded]),
    (.networkRefused("x"), [.portClosed, .firewallRejects]),
    (.challenged, [.wrongKey, .wrongProfile, .busy, .notAccepted]),
    (.notAuthentic, [.wrongProfile, .lostRatchet]),
    (.notConfirmed, [.notAccepted, .refused]),
    (.ratchetConflict, [.ratchetConflict]),
  ])
  func causesOfTimeouts(cause: TimeoutCause, kinds: [Kind]) {
    let diagnosis = Diagnosis(cause)
    #expect(diagnosis.causes.map(\.kind) == kinds)
    #expect(cause.likelyCauses == diagnosis.causes.map(\.text))
    for cause in diagnosis.causes {
      #expect(diagnosis.text.contains(cause.text) && diagnosis.text.contains(cause.remedy))
    }
  }

  /// Every kind is the result of a rule.
  @Test func everyKindHasARule() {
    let known = Set(Self.rows.flatMap { Diagnosis($0.seen).causes.map(\.kind) })
    #expect(known == Set(Kind.allCases))
  }

  /// The types and codes of ICMP (RFC 792, 1122, 1812, 4443), and the system's own errors.
  @Test(arguments: [
    (NetworkReport.Origin.icmp, UInt8(3), UInt8(3), NetworkReport.Kind.portUnreachable),
    (.icmp, 3, 0, .networkUnreachable), (.icmp, 3, 1, .hostUnreachable), (.icmp, 3, 4, .tooBig),
    (.icmp, 3, 9, .prohibited), (.icmp, 3, 10, .prohibited), (.icmp, 3, 13, .prohibited),
    (.icmp, 11, 0, .timeExceeded), (.icmp6, 1, 0, .networkUnreachable), (.icmp6, 1, 1, .prohibited),
    (.icmp6, 1, 3, .hostUnreachable), (.icmp6, 1, 4, .portUnreachable), (.icmp6, 2, 0, .tooBig),
    (.icmp6, 3, 0, .timeExceeded), (.local, 0, 0, .hostUnreachable),
  ])
  func reports(origin: NetworkReport.Origin, type: UInt8, code: UInt8, kind: NetworkReport.Kind) {
    let report = NetworkReport(error: 113, origin: origin, type: type, code: code, mtu: 0)
    #if os(Linux)
      #expect(report.kind == kind && report.mtu == nil)
    #endif
  }
}
