// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP
import ZSSPReference
import ZSSPTestSupport

/// Plays one side of a transcript with the reference: gives it what that side got, and compares
/// what it does.
final class ReferenceReplay {
  let transcript: Transcript
  let side: Side
  let tape: Tape
  let store: RecordingStore
  private(set) var events: [String] = []
  private(set) var questions: [ReferencePeer.Question] = []
  private var peer: ReferencePeer?
  private var session: Int?

  init(_ transcript: Transcript, side: Side, provider: any CryptoProvider) throws {
    self.transcript = transcript
    self.side = side
    tape = Tape(transcript.trace(of: side).tape)
    store = RecordingStore(try Transcript.pairs(transcript.storesBefore[side.rawValue] ?? [:]))
    let scripted = ScriptedProvider(
      base: provider, tape: tape, peerAddress: side.other.address, recordedPeerAddress: side.other.recordedAddress)
    let recorded = transcript.settings
    peer = ReferencePeer(
      staticKey: try scripted.agreementKey(privateBytes: transcript.static.privateBytes(of: side).rawBytes),
      provider: scripted, profile: try #require(ReferencePeer.Profile(rawValue: transcript.profile)),
      flags: ReferencePeer.Flags(recorded.flags(of: side)),
      helloPolicy: recorded.bobFlags.challenge == true ? .challenge : .allow, settings: transcript.referenceSettings,
      store: store
    ) { [unowned self] question in
      questions.append(question)
      let flags = ReferencePeer.Flags(recorded.bobFlags.flags)
      return recorded.bobFlags.rejectAll == true
        ? .reject(silently: flags.responderSilentlyRejects) : .accept(flags)
    }
  }

  /// Plays all steps of this side.
  func run() throws {
    for (index, step) in transcript.steps.enumerated() where step.actor == side {
      try play(step, at: "\(side) in step \(index)")
    }
  }

  private func play(_ step: Transcript.Step, at place: Comment) throws {
    let now = Instant.milliseconds(step.t)
    let peer = try #require(peer)
    var outcome = ReferencePeer.ReceiveResult.handled
    switch step.action {
    case .open:
      let other = try #require(PublicKey(transcript.static.publicBytes(of: side.other)))
      session = try peer.open(to: other, at: side.other.address, identity: transcript.identity.bytes, now: now)
    case .send:
      try peer.send(try #require(step.payload, place).bytes, on: try #require(session, place), at: now)
    case .service:
      peer.tick(at: now)
    case .receive:
      let packet = try #require(step.packet, place)
      outcome = peer.receive(transcript.packets[packet].hex.bytes, from: side.other.address, at: now)
      if case .message(_, let message) = outcome {
        #expect(message == transcript.message(inPacket: packet), place)
      }
    case .networkDrops:
      break
    }
    let new = takeEvents(peer)
    if let event = step.event { check(outcome, events: new, against: event, at: place) }
    let wanted = (step.sends ?? []).map { transcript.packets[$0].hex.bytes }
    let sent = peer.takeDatagrams()
    #expect(sent.allSatisfy { $0.address == side.other.address }, place)
    #expect(sent.map(\.bytes) == wanted, place)
  }

  private func takeEvents(_ peer: ReferencePeer) -> [String] {
    let new = peer.takeEvents()
    for case .established(let id, let establishment) in new {
      session = id
      #expect(establishment.isInitiator == (side == .alice))
      #expect(establishment.identity == transcript.identity.bytes)
      #expect(establishment.peer.array == transcript.static.publicBytes(of: side.other))
      #expect(establishment.address == side.other.address)
    }
    events += new.map(\.summary)
    return new.map(\.summary)
  }

  /// The record names events as upstream does.
  private func check(
    _ outcome: ReferencePeer.ReceiveResult, events: [String], against event: Transcript.Step.RecordedEvent,
    at place: Comment
  ) {
    let kinds = events.map { String($0.prefix { $0 != " " }) }
    switch event.type {
    case "None": #expect(outcome == .handled && kinds == [], place)
    case "Control":
      #expect(outcome == .handled && [[], ["confirmed"], ["rekeyed"]].contains(kinds), place)
    case "New { downgraded: false }", "Established": #expect(outcome == .handled && kinds == ["established"], place)
    case "New { downgraded: true }":
      #expect(outcome == .handled && kinds == ["downgraded", "established"], place)
    case "DowngradedRatchetKey": #expect(outcome == .handled && kinds == ["downgraded"], place)
    case "Rejected": #expect(outcome == .handled && events == ["ended rejected"], place)
    case "Data":
      guard case .message = outcome else {
        Issue.record("no message but \(outcome): \(place)")
        return
      }
      #expect(kinds == [], place)
    case "Error": checkError(outcome, kinds: kinds, expected: event.kind, at: place)
    default: Issue.record("an unknown event \(event.type): \(place)")
    }
  }

  private func checkError(
    _ outcome: ReferencePeer.ReceiveResult, kinds: [String], expected kind: String?, at place: Comment
  ) {
    switch kind {
    case "ExpiredCounter": #expect(outcome == .dropped(.replayed), place)
    case "OutOfSequence": #expect(outcome == .dropped(.unexpected), place)
    case "FailedAuth":
      // At Alice the failure is the state's timeout: something happens, so nothing is dropped.
      let isDropped = [.notAuthentic, .unknownRatchet, .refused, .challenged].contains { outcome == .dropped($0) }
      #expect(isDropped || outcome == .handled && kinds == ["restarted"], place)
    default: Issue.record("an unknown error \(kind ?? "without a kind"): \(place)")
    }
  }
}

extension Transcript {
  /// The recorded durations, under their names in the reference.
  fileprivate var referenceSettings: ReferencePeer.Settings {
    var reference = ReferencePeer.Settings()
    // Upstream cuts all packets alike.
    reference.mtu = mtu
    reference.handshakeMTU = mtu
    reference.resendInterval = .milliseconds(settings.resendTime)
    reference.handshakeTimeout = .milliseconds(settings.initialOfferTimeout)
    reference.rekeyTimeout = .milliseconds(settings.rekeyTimeout)
    reference.rekeyAfter = .milliseconds(settings.rekeyAfterTime)
    reference.rekeyJitter = .milliseconds(settings.rekeyTimeMaxJitter)
    reference.reassemblyTimeout = .milliseconds(settings.fragmentAssemblyTimeout)
    // Upstream reads one.
    reference.bodiesPerHandshake = 1
    return reference
  }
}
