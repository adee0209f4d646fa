// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Sends a Hello from a socket of its own, and observes what comes back. It never sends X3.
///
/// So it changes no store. This side's endpoint gets a copy of one ratchet state, and nothing that
/// it would store is stored. The responder forgets the half-open handshake after its
/// `handshakeTimeout`; before X3 it has not learned who asks, and asks its application nothing
/// (section 6). The Hello names one state at most, so the responder has no reason to revoke another
/// (section 14).
final class HelloProbe {
  let socket: ProbeSocket
  private(set) var observation: ProbeObservation
  /// The size of the largest packet that the path takes, as far as the network has reported it.
  private(set) var reportedMTU: Int?

  private var endpoint: Endpoint
  private let peer: PublicKey
  private let attempt: ProbeAttempt
  /// The time when the last Hello was sent.
  private var sentAt: Instant?
  /// The number of large datagrams that may still be sent to find the limit of the path.
  private var sizeProbesLeft: Int

  /// Prepares a probe.
  ///
  /// - Parameters:
  ///   - attempt: The Hello.
  ///   - peer: The responder's static key.
  ///   - socket: A socket that is connected to the responder.
  ///   - configuration: The static key and the provider. The probe sets the rest.
  ///   - measuresPath: True to send large datagrams, too, which the responder drops, to have the
  ///     network report the limit of the path.
  /// - Throws: ``ConfigurationError``.
  init(
    _ attempt: ProbeAttempt, to peer: PublicKey, by socket: ProbeSocket, configuration: EndpointConfiguration,
    measuresPath: Bool
  ) throws(ConfigurationError) {
    self.attempt = attempt
    self.peer = peer
    self.socket = socket
    sizeProbesLeft = measuresPath ? 4 : 0
    observation = ProbeObservation(attempt.purpose, profile: attempt.profile, naming: attempt.state)
    var configuration = configuration
    configuration.profile = attempt.profile
    // The observation says whether the responder has the state, so its absence is no failure here.
    configuration.flags = .opportunistic
    configuration.directory = nil
    configuration.settings = Settings()
    configuration.settings.mtu = attempt.datagramLimit
    configuration.settings.handshakeMTU = attempt.datagramLimit
    endpoint = try Endpoint(configuration)
  }

  /// True if an authentic X2 has come.
  var isAnswered: Bool { observation.answer != nil }

  /// The next time to call ``advance(at:)``; nil if there is none.
  var nextDeadline: Instant? { isAnswered ? nil : endpoint.nextDeadline }

  /// Sends the Hello.
  ///
  /// - Throws: ``OpenError`` if the key is not a point of the curve.
  func start(at now: Instant) throws(OpenError) {
    _ = try endpoint.open(to: peer, at: socket.remote, now: now)
    pump(at: now)
    if sizeProbesLeft > 0, let mtu = socket.pathMTU { sendSizeProbe(ofPacket: min(mtu, 9000)) }
  }

  /// Resends what is due.
  func advance(at now: Instant) {
    guard !isAnswered else { return }
    endpoint.advance(to: now)
    pump(at: now)
  }

  /// Processes what has arrived.
  func receive(at now: Instant) {
    let reports = socket.receive { datagram in received(&datagram, at: now) } + socket.reports()
    observation.add(reports)
    for case let mtu? in reports.filter({ $0.kind == .tooBig }).map(\.mtu) {
      guard mtu < reportedMTU ?? .max else { continue }
      reportedMTU = mtu
      // A narrower link may follow.
      sendSizeProbe(ofPacket: mtu)
    }
    pump(at: now)
  }

  private func received(_ datagram: inout MutableRawSpan, at now: Instant) {
    guard !isAnswered else { return }
    let size = datagram.byteCount
    let isForStranger = size >= KeyID.size && KeyID(datagram.bytes) == .none
    let outcome = endpoint.receive(&datagram, from: socket.remote, at: now)
    switch outcome {
    case .handled where isForStranger, .dropped(.busy) where isForStranger: observation.challenges += 1
    case .handled: observation.fragments.append(size)
    case .dropped(.notAuthentic): observation.fragments.append(size)
    default: observation.foreign += 1
    }
    pump(at: now)
  }

  /// Sends a large datagram that the responder drops, because its key id is no session's.
  private func sendSizeProbe(ofPacket size: Int) {
    let bytes = size - socket.headers
    guard sizeProbesLeft > 0, bytes > attempt.datagramLimit else { return }
    sizeProbesLeft -= 1
    // The highest bit keeps the key id from being that of strangers.
    let random = endpoint.configuration.provider.random(bytes)
    var datagram = random.bytes.array
    datagram[0] |= 0x80
    if let report = socket.send(datagram) { observation.add([report]) }
  }

  // MARK: The endpoint

  private func pump(at now: Instant) {
    while true {
      if let request = takeRequest() {
        handle(request, at: now)
      } else if let event = takeEvent() {
        if case .downgraded = event { observation.answer?.usedRatchet = false }
      } else {
        break
      }
    }
    observation.forged = Int(clamping: endpoint.statistics[.notAuthentic])
    sendOutbox(at: now)
  }

  // Not inlined for the same reason as in `Driver`.
  @inline(never) private func takeRequest() -> Request? { endpoint.nextRequest() }
  @inline(never) private func takeEvent() -> Event? { endpoint.nextEvent() }

  private func handle(_ request: Request, at now: Instant) {
    switch request {
    case .store(let id, .load):
      endpoint.answer(id, store: .pair(attempt.ratchet.map { RatchetPair($0) } ?? .empty), at: now)
    case .store(let id, .compareAndSwap):
      guard !isAnswered else { return endpoint.answer(id, store: .failed, at: now) }
      // X2 is authentic. Nothing is stored; the endpoint goes on only to say which state was used,
      // and what it sends from now on is not sent.
      let roundTrip = observation.hellos == 1 ? sentAt.map { $0.duration(to: now) } : nil
      observation.answer = ProbeObservation.Answer(roundTrip: roundTrip, usedRatchet: observation.offersRatchet)
      endpoint.answer(id, store: .swapped, at: now)
    case .store(let id, _): endpoint.answer(id, store: .failed, at: now)
    case .work(let work): endpoint.complete(work.run(), at: now)
    case .accept(let id, _): endpoint.answer(id, accept: .reject(silently: true), at: now)
    }
  }

  private func sendOutbox(at now: Instant) {
    defer { endpoint.outbox.removeAll() }
    guard !endpoint.outbox.isEmpty, !isAnswered else { return }
    let bytes = endpoint.outbox.bytes.array
    var sizes: [Int] = []
    for run in endpoint.outbox.runs {
      run.forEachPiece(segmenting: false) { range in
        sizes.append(range.count)
        if let report = socket.send(Array(bytes[range])) { observation.add([report]) }
      }
    }
    if observation.hellos == 0 { observation.sent = sizes }
    observation.hellos += 1
    // An answered challenge goes out with the next Hello.
    if observation.challenges > observation.solved { observation.solved += 1 }
    sentAt = now
  }
}
