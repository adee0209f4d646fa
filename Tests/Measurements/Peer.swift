// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// An endpoint, a store in memory, and work done at once.
final class Peer {
  let address: Address
  var endpoint: Endpoint
  private(set) var store = MemoryRatchetStore()
  private(set) var sessions: [SessionID] = []

  init(_ provider: any CryptoProvider, staticKey: any AgreementPrivateKey, at address: Address) throws {
    self.address = address
    endpoint = try Endpoint(EndpointConfiguration(staticKey: staticKey, provider: provider))
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
      if case .established(let id, _) = event { sessions.append(id) }
    }
    var datagrams: [[UInt8]] = []
    for run in endpoint.outbox.runs {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        let end = min(start + run.segmentSize, run.range.upperBound)
        datagrams.append(endpoint.outbox.bytes.extracting(start..<end).array)
        start = end
      }
    }
    endpoint.outbox.removeAll()
    return datagrams
  }

  /// Takes a datagram. The plaintext of a message is wiped, as an application with a secret would
  /// do it.
  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) {
    var datagram = datagram
    datagram.withMutableBytes { bytes in
      _ = endpoint.receive(&bytes, from: source, at: now)
      for index in 0..<bytes.byteCount { bytes.store(UInt8(0), at: index) }
    }
  }
}

/// Two of them with a link that loses nothing.
final class Link {
  let alice: Peer
  let bob: Peer
  private(set) var now = Instant.milliseconds(1000)

  /// - Parameter keys: makes the static keys, where that is not `provider`.
  init(_ provider: any CryptoProvider, keys: (any CryptoProvider)? = nil) throws {
    let keys = keys ?? provider
    alice = try Peer(
      provider, staticKey: keys.generateAgreementKey(), at: Address(ipv4: 0x0A00_0001, port: 1111))
    bob = try Peer(
      provider, staticKey: keys.generateAgreementKey(), at: Address(ipv4: 0x0A00_0002, port: 2222))
  }

  /// Delivers datagrams until neither side has one to send.
  func settle() {
    while true {
      let fromAlice = alice.pump(at: now)
      let fromBob = bob.pump(at: now)
      if fromAlice.isEmpty, fromBob.isEmpty { return }
      for datagram in fromAlice { bob.receive(datagram, from: alice.address, at: now) }
      for datagram in fromBob { alice.receive(datagram, from: bob.address, at: now) }
    }
  }

  /// Returns a session that is established and has carried a message each way.
  func establish() throws -> (SessionID, SessionID) {
    _ = try alice.endpoint.open(to: bob.endpoint.publicKey, at: bob.address, identity: [1], flags: nil, now: now)
    settle()
    guard let one = alice.sessions.last, let other = bob.sessions.last else { throw MeasurementError.noSession }
    try exchange(one, other)
    return (one, other)
  }

  func exchange(_ one: SessionID, _ other: SessionID) throws {
    let message = [UInt8](repeating: 0x42, count: 64)
    try alice.endpoint.send(message.rawBytes, on: one, at: now)
    try bob.endpoint.send(message.rawBytes, on: other, at: now)
    settle()
  }

  /// Gives the session a new key, on Alice's request.
  func rekey(_ one: SessionID) throws {
    now = now.advanced(by: .seconds(61))
    alice.endpoint.advance(to: now)
    bob.endpoint.advance(to: now)
    guard alice.endpoint.rekey(one, at: now) else { throw MeasurementError.noRekey }
    settle()
  }

  /// Lets time pass.
  func skip(_ duration: Duration) {
    now = now.advanced(by: duration)
    alice.endpoint.advance(to: now)
    bob.endpoint.advance(to: now)
    settle()
  }
}

enum MeasurementError: Error { case noSession, noRekey, noArgument, brokenPipe }
