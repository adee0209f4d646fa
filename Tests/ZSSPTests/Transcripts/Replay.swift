// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

/// Plays one side of a transcript: gives an endpoint what that side got, and holds what it does
/// against the record.
///
/// Only what the record says happens: the time moves, and timers fire, at its steps and nowhere
/// else.
final class Replay {
  let transcript: Transcript
  let side: Side
  let tape: Tape
  private(set) var events: [String] = []
  private(set) var store: MemoryRatchetStore
  private(set) var swaps: [(expected: RatchetPair, new: RatchetPair)] = []
  private(set) var questions: [AcceptRequest] = []
  private var endpoint: Endpoint
  private var session: SessionID?

  init(_ transcript: Transcript, side: Side, provider: any CryptoProvider) throws {
    self.transcript = transcript
    self.side = side
    tape = Tape(transcript.trace(of: side).tape)
    store = try MemoryRatchetStore(transcript.storesBefore[side.rawValue] ?? [:])
    let scripted = ScriptedProvider(
      base: provider, tape: tape, peerAddress: side.other.address,
      recordedPeerAddress: side.other.recordedAddress)
    let profile = try #require(Profile(rawValue: transcript.profile))
    endpoint = try Endpoint(
      EndpointConfiguration(
        staticKey: scripted.agreementKey(privateBytes: transcript.static.privateBytes(of: side).rawBytes),
        provider: scripted, profile: profile, flags: transcript.settings.flags(of: side),
        helloPolicy: transcript.settings.bobFlags.challenge == true ? .challenge : .allow,
        settings: transcript.endpointSettings))
  }

  /// Plays all steps of this side.
  func run() throws {
    for (index, step) in transcript.steps.enumerated() where step.actor == side {
      try play(step, at: "\(side) in step \(index)")
    }
  }

  private func play(_ step: Transcript.Step, at place: Comment) throws {
    let now = Instant.milliseconds(step.t)
    let before = endpoint.statistics
    var outcome: Outcome?
    switch step.action {
    case .open:
      let peer = try #require(PublicKey(transcript.static.publicBytes(of: side.other)))
      session = try endpoint.open(to: peer, at: side.other.address, identity: transcript.identity.bytes, now: now)
    case .send:
      let session = try #require(session, place)
      let message = try #require(step.payload, place).bytes
      try endpoint.send(message.rawBytes, on: session, at: now)
    case .service:
      endpoint.advance(to: now)
    case .receive:
      let packet = try #require(step.packet, place)
      outcome = receive(packet, at: now)
      if case .message(let message)? = outcome {
        #expect(message == transcript.message(inPacket: packet), place)
      }
    case .networkDrops:
      break
    }
    settle(at: now)

    let new = takeEvents()
    if let event = step.event { check(outcome, events: new, before: before, against: event, at: place) }
    compareDatagrams(with: step, place)
  }

  /// The immediate result of a datagram.
  private enum Outcome: Equatable {
    case message([UInt8])
    case handled
    case dropped(DropReason)
  }

  private func receive(_ packet: Int, at now: Instant) -> Outcome {
    var datagram = transcript.packets[packet].hex.bytes
    let reception = datagram.withMutableBytes { endpoint.receive(&$0, from: side.other.address, at: now) }
    switch reception {
    case .message(_, let range): return .message(Array(datagram[range]))
    case .assembled(_, let message): return .message(message)
    case .handled: return .handled
    case .dropped(let reason): return .dropped(reason)
    }
  }

  /// Answers what the endpoint asks, at once, until it asks no more.
  private func settle(at now: Instant) {
    while let request = endpoint.nextRequest() {
      switch request {
      case .work(let work):
        endpoint.complete(work.run(), at: now)
      case .store(let id, let request):
        if case .compareAndSwap(_, let expected, let new, _) = request { swaps.append((expected, new)) }
        endpoint.answer(id, store: store.answer(request), at: now)
      case .accept(let id, let request):
        questions.append(request)
        let settings = transcript.settings.bobFlags
        let decision: AcceptDecision =
          settings.rejectAll == true
          ? .reject(silently: settings.pi4) : .accept(settings.flags)
        endpoint.answer(id, accept: decision, at: now)
      }
    }
  }

  private func takeEvents() -> [String] {
    var new: [String] = []
    while let event = endpoint.nextEvent() {
      if case .established(let id, let establishment) = event {
        session = id
        checkEstablishment(establishment)
      }
      new.append(event.summary)
    }
    events += new
    return new
  }

  private func checkEstablishment(_ establishment: Establishment) {
    #expect(establishment.role == side.role)
    #expect(establishment.identity == transcript.identity.bytes)
    #expect(establishment.peer.array == transcript.static.publicBytes(of: side.other))
    #expect(establishment.address == side.other.address)
  }

  /// The record names events as upstream does.
  private func check(
    _ outcome: Outcome?, events: [String], before: Statistics,
    against event: Transcript.Step.RecordedEvent, at place: Comment
  ) {
    let kinds = events.map { $0.prefix { $0 != " " } }
    let dropped = endpoint.statistics.dropped - before.dropped
    guard event.type == "Error" else {
      #expect(dropped == 0, place)
      switch event.type {
      case "None":
        #expect(outcome == .handled && events.isEmpty, place)
      case "Control":
        #expect(outcome == .handled && (events.isEmpty || kinds == ["confirmed"] || kinds == ["rekeyed"]), place)
      case "New { downgraded: false }", "Established":
        #expect(outcome == .handled && kinds == ["established"], place)
      case "New { downgraded: true }":
        #expect(outcome == .handled && kinds == ["downgraded", "established"], place)
      case "DowngradedRatchetKey":
        #expect(outcome == .handled && kinds == ["downgraded"], place)
      case "Rejected":
        #expect(outcome == .handled && events == ["ended rejected"], place)
      case "Data":
        guard case .message? = outcome else {
          Issue.record("no message but \(String(describing: outcome)): \(place)")
          return
        }
        #expect(events.isEmpty, place)
      default:
        Issue.record("an unknown event \(event.type): \(place)")
      }
      return
    }
    #expect(dropped == 1, place)
    let reasons: [DropReason] =
      switch event.kind {
      case "ExpiredCounter": [.replayed]
      case "OutOfSequence": [.unexpected]
      case "FailedAuth": [.notAuthentic, .unknownRatchet, .refused, .challenged]
      default: []
      }
    #expect(reasons.contains { endpoint.statistics[$0] == before[$0] + 1 }, place)
  }

  private func compareDatagrams(with step: Transcript.Step, _ place: Comment) {
    let wanted = (step.sends ?? []).map { transcript.packets[$0].hex.bytes }
    let sent = endpoint.outbox.datagrams
    #expect(endpoint.outbox.runs.allSatisfy { $0.address == side.other.address }, place)
    #expect(sent.count == wanted.count, place)
    for (number, (sent, wanted)) in zip(sent, wanted).enumerated() {
      #expect(sent == wanted, "datagram \(number), \(place)")
    }
    endpoint.outbox.removeAll()
  }
}

extension Transcript {
  /// The recorded durations, under their names here.
  var endpointSettings: Settings {
    var endpointSettings = Settings()
    // Upstream cuts all packets alike.
    endpointSettings.mtu = mtu
    endpointSettings.handshakeMTU = mtu
    endpointSettings.resendInterval = .milliseconds(settings.resendTime)
    endpointSettings.handshakeTimeout = .milliseconds(settings.initialOfferTimeout)
    endpointSettings.rekeyTimeout = .milliseconds(settings.rekeyTimeout)
    endpointSettings.rekeyAfter = .milliseconds(settings.rekeyAfterTime)
    endpointSettings.rekeyJitter = .milliseconds(settings.rekeyTimeMaxJitter)
    endpointSettings.reassemblyTimeout = .milliseconds(settings.fragmentAssemblyTimeout)
    // Upstream reads one.
    endpointSettings.bodiesPerHandshake = 1
    return endpointSettings
  }
}

extension MemoryRatchetStore {
  /// A store with recorded content.
  init(_ recorded: [String: Transcript.RecordedPair]) throws {
    self.init(pairs: try Transcript.pairs(recorded))
  }
}

extension Event {
  /// The event in a few words, without ids.
  var summary: String {
    switch self {
    case .established(_, let establishment): "established \(establishment.chainLength)"
    case .confirmed: "confirmed"
    case .restarted(_, let reason): "restarted \(reason.rawValue)"
    case .downgraded(_, _, let heldChainLength): "downgraded \(heldChainLength)"
    case .rekeyed(_, let chainLength): "rekeyed \(chainLength)"
    case .answered: "answered"
    case .moved: "moved"
    case .ended(_, let reason): "ended \(reason.rawValue)"
    case .withdrawn(_, let reason): "withdrawn \(reason)"
    }
  }
}
