// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// The purpose of a Hello that a probe sends.
package enum ProbePurpose: String, Sendable, Hashable, CaseIterable {
  /// The profile, the ratchet and the sizes that a session would use.
  case asConfigured
  /// A profile with the other key encapsulation.
  case otherProfile
  /// No ratchet, although this side holds one.
  case withoutRatchet
  /// Datagrams that nearly every path takes.
  case smallDatagrams
}

/// The variable parts of a Hello that a probe sends.
package struct ProbeAttempt: Sendable {
  package var purpose: ProbePurpose
  package var profile: Profile
  /// The state that the Hello names, and its number among those that this side holds; nil for none.
  package let ratchet: RatchetState?
  package let state: Int?
  /// The largest size of the Hello's datagrams, in bytes of UDP payload.
  package var datagramLimit: Int

  /// Makes an attempt that names a state of several; none if there is no such state.
  package init(
    _ purpose: ProbePurpose = .asConfigured, profile: Profile, naming state: Int, of ratchets: [RatchetState],
    datagramLimit: Int = 1200
  ) {
    self.purpose = purpose
    self.profile = profile
    self.state = ratchets.indices.contains(state) ? state : nil
    ratchet = self.state.map { ratchets[$0] }
    self.datagramLimit = datagramLimit
  }
}

/// The observations of this side about one Hello.
package struct ProbeObservation: Sendable, Hashable {
  /// An authentic X2.
  package struct Answer: Sendable, Hashable {
    /// The time from the Hello to X2, with the responder's public-key work; nil if several Hellos
    /// were sent, because X2 does not say which one it answers.
    package var roundTrip: Duration?
    /// True if the responder used the state that the Hello named.
    package var usedRatchet: Bool

    package init(roundTrip: Duration?, usedRatchet: Bool) {
      self.roundTrip = roundTrip
      self.usedRatchet = usedRatchet
    }
  }

  package let purpose: ProbePurpose
  package let profile: Profile
  /// The number of the ratchet state that the Hello names, among those that this side holds; nil
  /// for none.
  package let state: Int?
  /// The sizes of the first Hello's datagrams, in bytes of UDP payload.
  package var sent: [Int] = []
  /// The number of times that the Hello was sent.
  package var hellos = 0
  /// The number of challenges.
  package var challenges = 0
  /// The number of Hellos with the answer to a challenge.
  package var solved = 0
  /// The sizes of the datagrams that came for the Hello's key id.
  package var fragments: [Int] = []
  /// The number of X2 that were not authentic.
  package var forged = 0
  /// The number of other datagrams.
  package var foreign = 0
  package var answer: Answer?
  /// The network's reports, without repetitions.
  package var reports: [NetworkReport] = []

  package init(
    _ purpose: ProbePurpose = .asConfigured, profile: Profile = .kyber1024, naming state: Int? = nil
  ) {
    self.purpose = purpose
    self.profile = profile
    self.state = state
  }

  /// True if the Hello names a ratchet state.
  package var offersRatchet: Bool { state != nil }

  /// True if something came from the probed port.
  var isHeard: Bool { answer != nil || challenges > 0 || !fragments.isEmpty || forged > 0 }

  /// The report with which this host, and not the network, did not send the Hello; nil for none.
  var localObstacle: NetworkReport? {
    // Datagrams that only measure the path are larger than those of the Hello.
    let largest = (sent.max() ?? 0) + 28
    return reports.first { report in
      guard report.reporter == nil else { return false }
      return report.kind == .noBuffers || report.kind == .tooBig && report.mtu.map { $0 < largest } ?? true
    }
  }

  /// True if the network refuses datagrams to this address, so that another Hello is of no use.
  var isRefused: Bool {
    challenges == 0 && fragments.isEmpty
      && reports.contains { report in
        switch report.kind {
        case .portUnreachable, .hostUnreachable, .networkUnreachable, .prohibited, .timeExceeded: true
        case .tooBig, .noBuffers, .other: false
        }
      }
  }

  mutating func add(_ reports: [NetworkReport]) {
    for report in reports where !self.reports.contains(report) { self.reports.append(report) }
  }
}
