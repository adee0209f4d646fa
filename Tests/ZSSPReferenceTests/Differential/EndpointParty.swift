// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference

/// ZSSP, with everything answered at once.
final class EndpointParty: Party {
  private var endpoint: Endpoint
  private let configuration: PartyConfiguration
  private var numbers: [SessionID: Int] = [:]
  private var events: [String] = []
  private var datagrams: [(address: Address, bytes: [UInt8])] = []

  init(_ configuration: PartyConfiguration) throws {
    self.configuration = configuration
    endpoint = try Endpoint(
      EndpointConfiguration(
        staticKey: configuration.staticKey, provider: configuration.provider, profile: configuration.profile,
        flags: configuration.flags, helloPolicy: configuration.policy, settings: configuration.settings))
  }

  var nextDeadline: Instant? { endpoint.protocolDeadline }

  private func number(_ id: SessionID) -> Int {
    if let number = numbers[id] { return number }
    numbers[id] = numbers.count + 1
    return numbers.count
  }

  private func id(_ number: Int) -> SessionID? { numbers.first { $0.value == number }?.key }

  func open(to peer: PublicKey, at address: Address, identity: [UInt8], now: Instant) {
    if let id = try? endpoint.open(to: peer, at: address, identity: identity, now: now) { _ = number(id) }
    settle(at: now)
  }

  func send(_ message: [UInt8], on session: Int, at now: Instant) {
    if let id = id(session) { try? endpoint.send(message.rawBytes, on: id, at: now) }
    settle(at: now)
  }

  func rekey(_ session: Int, at now: Instant) {
    if let id = id(session) { endpoint.rekey(id, at: now) }
    settle(at: now)
  }

  func close(_ session: Int, at now: Instant) {
    if let id = id(session) { endpoint.close(id) }
    settle(at: now)
  }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> [UInt8]? {
    var datagram = datagram
    let reception = datagram.withMutableBytes { endpoint.receive(&$0, from: source, at: now) }
    settle(at: now)
    switch reception {
    case .message(_, let range): return Array(datagram[range])
    case .assembled(_, let message): return message
    case .handled, .dropped: return nil
    }
  }

  func tick(at now: Instant) {
    endpoint.advance(to: now)
    settle(at: now)
  }

  private func settle(at now: Instant) {
    while let request = endpoint.nextRequest() {
      switch request {
      case .work(let work): endpoint.complete(work.run(), at: now)
      case .store(let id, let request): endpoint.answer(id, store: configuration.store.answer(request), at: now)
      case .accept(let id, _):
        let isSilent = configuration.flags.contains(.responderRejectsSilently)
        endpoint.answer(
          id, accept: configuration.accepts() ? .accept(configuration.flags) : .reject(silently: isSilent), at: now)
      }
    }
    while let event = endpoint.nextEvent() { events.append(describe(event)) }
    for run in endpoint.outbox.runs {
      for start in stride(from: run.range.lowerBound, to: run.range.upperBound, by: run.segmentSize) {
        let end = min(start + run.segmentSize, run.range.upperBound)
        datagrams.append((run.address, endpoint.outbox.bytes.extracting(start..<end).array))
      }
    }
    endpoint.outbox.removeAll()
  }

  private func describe(_ event: Event) -> String {
    switch event {
    case .established(let id, let info):
      let role = info.role == .initiator ? "Alice" : "Bob"
      return "\(number(id)) established \(role) \(info.identity.count) \(info.address.port) \(info.chainLength) "
        + "from \(info.downgradedFrom ?? 0)"
    case .confirmed(let id), .restarted(let id, _), .downgraded(let id, _, _), .rekeyed(let id, _),
      .moved(let id, _, _), .answered(let id, _), .ended(let id, _):
      return "\(number(id)) \(event.summary)"
    case .withdrawn: return event.summary
    }
  }

  func takeDatagrams() -> [(address: Address, bytes: [UInt8])] {
    defer { datagrams = [] }
    return datagrams
  }

  func takeEvents() -> [String] {
    defer { events = [] }
    return events
  }

  func sessions() -> [Int: String] {
    var sessions: [Int: String] = [:]
    for (id, number) in numbers {
      guard let session = endpoint.session(id), let timers = endpoint.stateTimers(id) else { continue }
      sessions[number] =
        "\(session.state) chain \(session.chainLength) to \(session.address.port) "
        + "until \(timers.state.nanoseconds) resend \(timers.resend.nanoseconds)"
    }
    return sessions
  }
}
