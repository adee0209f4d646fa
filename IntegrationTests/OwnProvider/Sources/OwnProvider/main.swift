// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Two endpoints on a provider from outside the package shake hands and exchange a message, over
// arrays. It uses only public API, and exits with an error if a step fails.

struct Mismatch: Error { let what: String }

/// An endpoint with what drives it.
final class Peer {
  let address: Address
  private var endpoint: Endpoint
  private var store = MemoryRatchetStore()
  private(set) var session: SessionID?
  private(set) var messages: [[UInt8]] = []

  init(at address: Address) throws {
    self.address = address
    let provider = ToyProvider()
    endpoint = try Endpoint(EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider))
  }

  func open(to peer: Peer, at now: Instant) throws {
    _ = try endpoint.open(to: peer.endpoint.publicKey, at: peer.address, identity: [], flags: nil, now: now)
  }

  func send(_ message: [UInt8], at now: Instant) throws {
    guard let session else { throw Mismatch(what: "no session") }
    try endpoint.send(message.span.bytes, on: session, at: now)
  }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) {
    var bytes = datagram
    var elements = bytes.mutableSpan
    var span = elements.mutableBytes
    switch endpoint.receive(&span, from: source, at: now) {
    case .message(_, let range): messages.append(Array(bytes[range]))
    case .assembled(_, let message): messages.append(message)
    case .handled, .dropped: break
    }
  }

  /// Answers all requests, and returns the datagrams to send.
  func pump(at now: Instant) -> [[UInt8]] {
    while let request = endpoint.nextRequest() {
      switch request {
      case .store(let id, let request): endpoint.answer(id, store: store.answer(request), at: now)
      case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
      case .work(let work): endpoint.complete(work.run(), at: now)
      }
    }
    while let event = endpoint.nextEvent() {
      if case .established(let id, _) = event { session = id }
    }
    let bytes = endpoint.outbox.bytes.copy
    let runs = endpoint.outbox.runs
    endpoint.outbox.removeAll()
    return runs.flatMap { run in
      stride(from: run.range.lowerBound, to: run.range.upperBound, by: run.segmentSize).map { start in
        Array(bytes[start..<min(start + run.segmentSize, run.range.upperBound)])
      }
    }
  }
}

/// Delivers datagrams until neither side has one to send.
func settle(_ alice: Peer, _ bob: Peer, at now: Instant) {
  while true {
    let fromAlice = alice.pump(at: now)
    let fromBob = bob.pump(at: now)
    if fromAlice.isEmpty && fromBob.isEmpty { return }
    for datagram in fromAlice { bob.receive(datagram, from: alice.address, at: now) }
    for datagram in fromBob { alice.receive(datagram, from: bob.address, at: now) }
  }
}

let now = Instant.milliseconds(1000)
let alice = try Peer(at: Address(ipv4: 0x0A00_0001, port: 1))
let bob = try Peer(at: Address(ipv4: 0x0A00_0002, port: 2))
try alice.open(to: bob, at: now)
settle(alice, bob, at: now)
let question = Array("over my own cryptography?".utf8)
let answer = [UInt8](repeating: 7, count: 5000)
try alice.send(question, at: now)
try bob.send(answer, at: now)
settle(alice, bob, at: now)
guard bob.messages == [question], alice.messages == [answer] else { throw Mismatch(what: "other messages") }
print("a handshake and two messages with a provider of our own")
