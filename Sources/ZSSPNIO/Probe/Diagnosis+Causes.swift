// SPDX-License-Identifier: Apache-2.0
import ZSSP

// The causes in words, each with what to do. One text serves `zssp ping`, `zssp tunnel check
// --probe` and the errors of `connect`.
extension Diagnosis {
  static let nameUnknown = Cause(
    .nameUnknown, .certain, "the name server does not know the name, is slow, or cannot be reached",
    do: "check the name with 'getent hosts NAME', or use an address")

  static func noRoute(_ report: NetworkReport) -> Cause {
    Cause(
      .noRoute, .certain, "there is no route to the address (\(report.text))",
      do: "check 'ip route get ADDRESS' on the way there; 'ip -6 address' if the address is IPv6")
  }

  static func hostDown(_ certainty: Certainty) -> Cause {
    Cause(
      .hostDown, certainty, "the host is down, or has another address",
      do: "check the address, and ping the host")
  }

  static func portClosed(_ certainty: Certainty) -> Cause {
    Cause(
      .portClosed, certainty, "nothing listens at this address and port",
      do: "start the peer; 'ss -lun' on its host shows the port that it listens on")
  }

  static func firewall(_ certainty: Certainty) -> Cause {
    Cause(
      .firewall, certainty, "a wrong address or port, or a firewall in between that drops UDP in silence",
      do: "permit UDP to the port, and the answers from it; does 'tcpdump udp port PORT' on the peer show the Hellos?")
  }

  static func firewallRejects(_ certainty: Certainty) -> Cause {
    Cause(
      .firewallRejects, certainty, "a firewall rejects the datagrams",
      do: "permit UDP to the port in the firewall that sent the report")
  }

  /// - Parameter mtu: The limit of packets in bytes; nil if no report said it.
  static func smallMTU(_ certainty: Certainty, _ mtu: Int?) -> Cause {
    let limit = mtu.map { "packets of more than \($0) bytes" } ?? "packets of the usual size"
    let largest = mtu.map { max(Settings.smallestMTU, $0 - 48) } ?? 508
    return Cause(
      .smallMTU, certainty, "a link on the path does not take \(limit)",
      do: "give --mtu \(largest) on both sides, a smaller 'mtu' to a tunnel, or raise the MTU of the link; "
        + "do not block ICMP, which reports it",
      inTunnel: "set a smaller 'mtu' in the files of both sides, or raise the MTU of the link; do not block ICMP, "
        + "which reports it")
  }

  /// - Parameter report: The report of this host.
  static func localDevice(_ report: NetworkReport, _ certainty: Certainty) -> Cause {
    let limit = report.mtu.map { ", the limit is \($0) bytes" } ?? ""
    return Cause(
      .localDevice, certainty,
      "this host does not send the datagrams: its network device, or the path that it knows, is too small or full "
        + "(\(report.text)\(limit))",
      do: "compare the MTU of the device in 'ip link' with the sizes of the Hello, and give a smaller --mtu; look for "
        + "drops and a full queue in 'tc -s qdisc show'",
      inTunnel: "compare the MTU of the device in 'ip link' with the sizes of the Hello, and set a smaller 'mtu'; look "
        + "for drops and a full queue in 'tc -s qdisc show'")
  }

  static let lateLoss = Cause(
    .packetLoss, .likely, "datagrams of the session's handshake are lost, or the peer answers late",
    do: "try again with a longer --timeout, and with --count to see the loss; look for failures of the ratchet store "
      + "in the peer's log",
    inTunnel: "try again with a longer --timeout; look for failures of the ratchet store in the peer's log")

  static func wrongKey(_ certainty: Certainty) -> Cause {
    Cause(
      .wrongKey, certainty, "the peer's public key is another one, so that it cannot read the Hello",
      do: "compare the key with 'zssp pubkey FILE' on the peer; its counter notAuthentic grows with each Hello")
  }

  /// - Parameter profile: The peer's profile; nil if unknown.
  static func wrongProfile(_ profile: Profile?, _ certainty: Certainty = .likely) -> Cause {
    guard let profile else {
      return Cause(
        .wrongProfile, certainty, "the peer has another profile", do: "use the same profile on both sides",
        inTunnel: "set the same 'profile' in the files of both sides")
    }
    // The two profiles with Kyber1024 differ in re-keys alone.
    let names = profile == .mlkem1024 ? "mlkem1024" : "kyber1024 (or upstream, which has the same handshake)"
    return Cause(
      .wrongProfile, .certain, "the peer has the profile \(names)",
      do: "use the same profile on both sides: --profile, or 'profile' in the file of a tunnel",
      inTunnel: "set the same 'profile' in the files of both sides")
  }

  static let lostRatchet = Cause(
    .lostRatchet, .certain,
    "the peer does not have the ratchet that this side holds for it: its store was lost or restored from an older "
      + "copy, or someone else has its key",
    do: "ask its operator; then begin anew on both sides with a new one-time password: 'zssp tunnel peer enroll', or "
      + "'zssp store forget' and --otp-file",
    inTunnel: "ask its operator; then begin anew on both sides with a new one-time password: 'zssp tunnel peer enroll' "
      + "while the tunnel runs")

  static let oneStateUnknown = Cause(
    .lostRatchet, .possible,
    "the peer does not have one of the two ratchet states that this side holds for it, and did not answer a Hello with "
      + "the other one",
    do: "try again, because a lost datagram looks the same; if it stays so, compare 'zssp store show' on both sides")

  static func packetLoss(_ certainty: Certainty) -> Cause {
    Cause(
      .packetLoss, certainty, "datagrams are lost, or the peer answers late: a variant of the Hello was answered alone",
      do: "try again with a longer --timeout; look for failures of the ratchet store in the peer's log")
  }

  static func ratchetsDiffer(_ certainty: Certainty) -> Cause {
    Cause(
      .lostRatchet, certainty, "the ratchets of both sides do not fit: one was lost or restored",
      do: "compare 'zssp store show' on both sides: one state must have the same fingerprint; otherwise begin anew "
        + "with a new one-time password")
  }

  /// - Parameter holds: True if this side holds a ratchet for the peer.
  static func ratchetNeeded(_ certainty: Certainty, holds: Bool) -> Cause {
    Cause(
      .ratchetNeeded, certainty,
      holds
        ? "the peer is in persistent mode, and has another ratchet or none for this side's key"
        : "the peer is in persistent mode, and answers nobody without a ratchet or a one-time password",
      do: holds
        ? "look for unknownRatchet among the peer's drops; then begin anew on both sides with a new one-time password"
        : "give --store or --otp-file; 'zssp otp' makes a password for both sides",
      inTunnel: holds
        ? "look for unknownRatchet among the peer's drops; then begin anew on both sides with a new one-time password: "
          + "'zssp tunnel peer enroll'"
        : "if the running tunnel has the store open, end it and probe again, or look for unknownRatchet among the peer's "
          + "drops; for a first contact 'zssp otp' makes a password, which both sides name as 'one-time-password-file'")
  }

  static func busy(_ certainty: Certainty) -> Cause {
    Cause(
      .busy, certainty, "the peer is flooded with Hellos, and this one waits for its turn",
      do: "try for longer (--timeout); the peer's counters challenged and queueTimeout grow under a flood")
  }

  static let changingAddress = Cause(
    .changingAddress, .possible,
    "a NAT changes this side's address or port between datagrams, so answers to "
      + "challenges do not count",
    do: "use a path without it, or another address of the peer")

  static let incompleteAnswer = Cause(
    .smallMTU, .likely, "a part of the answer is lost: the way back does not take its datagrams, or loses many",
    do: "give the peer a smaller --mtu; check that fragments and ICMP pass in both directions",
    inTunnel: "set a smaller 'mtu' in the peer's file; check that fragments and ICMP pass in both directions")

  /// - Parameter isNewKey: True if no peer can know this side's key.
  static func refused(isNewKey: Bool) -> Cause {
    isNewKey
      ? Cause(
        .refused, .certain, "the peer refuses the key that was made for this run: it lists its peers",
        do: "nothing, if only the way was to be tested; otherwise give --key",
        inTunnel: "add this side's public key ('zssp pubkey FILE') to the peer's file")
      : Cause(
        .refused, .certain, "the peer refuses this side's key, or a contact without the ratchet that it holds",
        do: "add this side's public key ('zssp pubkey FILE') to the peer's list; read the peer's log")
  }

  static func refusedSilently(_ certainty: Certainty) -> Cause {
    Cause(
      .refused, certainty, "the peer refuses this side's key in silence, or its ratchet store fails",
      do: "add this side's public key to the peer's list; read the peer's log")
  }

  static func notAccepted(_ certainty: Certainty) -> Cause {
    Cause(
      .notAccepted, certainty, "the peer's application has not accepted: nothing waits for handshakes there",
      do: "check that the peer's program reads its incoming sessions (counter incomingUnread)")
  }

  static let ratchetConflict = Cause(
    .ratchetConflict, .likely, "two processes use the same key and store at once",
    do: "stop one of them, or give it a key of its own")
}
