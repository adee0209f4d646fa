// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// The endpoints of a schedule, their stores, and the packets that they have sent.
final class ScheduleWorld {
  private let schedule: Schedule
  private let peers: [TestPeer]
  private(set) var now = Instant.milliseconds(1_000)
  /// Each packet, by its number in the schedule: the datagrams that it consists of.
  private var packets: [Int: [Datagram]] = [:]

  var alice: TestPeer { peers[0] }
  /// Bob's first endpoint, whose store is that of all.
  var bob: TestPeer { peers[1] }

  init(_ schedule: Schedule, seed: UInt64) throws {
    self.schedule = schedule
    let provider = FastCrypto(seed: seed)
    let flags: SecurityFlags = schedule.mode == .persistent ? .persistent : .opportunistic
    let directory = schedule.responders == .shards ? PeerDirectory() : nil
    func peer(_ key: any AgreementPrivateKey, host: UInt32, directory: PeerDirectory? = nil) throws -> TestPeer {
      var configuration = EndpointConfiguration(
        staticKey: key, provider: provider, flags: flags, helloPolicy: .allow)
      configuration.directory = directory
      let peer = try TestPeer(configuration, at: Address(ipv4: 0x0A00_0000 + host, port: 1111))
      peer.decide = { _ in .accept(flags) }
      return peer
    }
    var keys = [provider.generateAgreementKey(), provider.generateAgreementKey()]
    if (keys[0].publicKey < keys[1].publicKey) != schedule.aliceIsSmaller { keys.swapAt(0, 1) }
    let bobs = try (0..<(schedule.responders == .one ? 1 : 2)).map {
      try peer(keys[1], host: 2 + $0, directory: directory)
    }
    peers = [try peer(keys[0], host: 1)] + bobs
    if bobs.count > 1 { bobs[1].answerStore = { [first = bobs[0]] request in first.store.answer(request) } }
    guard schedule.mode != .first else { return }
    let password = [UInt8](repeating: 7, count: 32)
    let pair = RatchetPair(RatchetState(oneTimePassword: password.rawBytes, provider: provider))
    alice.store = MemoryRatchetStore(pairs: [bob.publicKey: pair])
    bob.store = MemoryRatchetStore(pairs: [alice.publicKey: pair])
  }

  /// Takes the steps of the schedule. What no step delivers is lost.
  func play() throws {
    for step in schedule.steps {
      switch step {
      case .open(let peer, let other, let number):
        _ = try peers[peer].open(to: peers[other], at: now)
        packets[number] = collect()
      case .deliver(let number, let answer):
        deliver(packets[number] ?? [])
        packets[answer] = collect()
      case .rekey(let peer, let number):
        if let session = sessions(of: peer, established: true).first { _ = peers[peer].rekey(session, at: now) }
        packets[number] = collect()
      case .wait:
        now = now.advanced(by: .milliseconds(1_100))
      case .closeAttempt(let peer):
        for session in sessions(of: peer, established: false) { peers[peer].close(session) }
      case .closeSession(let peer):
        for session in sessions(of: peer, established: true) { peers[peer].close(session) }
      case .crash(let peer):
        try peers[peer].restart()
      }
    }
  }

  /// The sessions of an endpoint that are established, or those that it is opening.
  private func sessions(of index: Int, established: Bool) -> [SessionID] {
    let others = index == 0 ? [bob.publicKey] : [alice.publicKey]
    let peer = peers[index]
    return others.flatMap { peer.sessions(with: $0) }.filter { session in
      ["A1", "A3"].contains(peer.state(session)) != established
    }
  }

  private func deliver(_ datagrams: [Datagram]) {
    for datagram in datagrams {
      peers.first { $0.address == datagram.to }?.receive(datagram.bytes, from: datagram.from, at: now)
    }
  }

  private func collect() -> [Datagram] { peers.flatMap { $0.pump(at: now) } }

  /// Lets time go on from deadline to deadline; everything arrives.
  func run(for duration: Duration) {
    let end = now.advanced(by: duration)
    while true {
      while case let datagrams = collect(), !datagrams.isEmpty { deliver(datagrams) }
      guard let deadline = peers.compactMap(\.nextDeadline).min(), deadline <= end else { break }
      now = max(now, deadline)
      for peer in peers { peer.advance(to: now) }
    }
    now = end
  }

  /// Opens a session from Alice to Bob, now that nothing is lost, and returns whether both have
  /// one.
  func recovers() throws -> Bool {
    for peer in peers.indices {
      for isEstablished in [true, false] {
        for session in sessions(of: peer, established: isEstablished) { peers[peer].close(session) }
      }
    }
    let session = try alice.open(to: bob, at: now)
    run(for: .seconds(60))
    return alice.state(session) == "S2" && sessions(of: 1, established: true).contains { bob.state($0) == "S2" }
  }

  /// True if the rows of the two have a state in common that is not the empty one.
  var haveStateInCommon: Bool {
    guard let one = alice.store.pairs[bob.publicKey], let other = bob.store.pairs[alice.publicKey] else { return false }
    return [one.state1, one.state2].compactMap(\.self).contains { !$0.isEmpty && other.contains($0) }
  }

  var downgrades: Int { peers.reduce(0) { $0 + $1.downgrades } }

  /// The number of sessions that made room for another.
  var replacedSessions: Int { peers.reduce(0) { $0 + $1.endReasons.count { $0 == .replaced } } }

  /// The number of times that an endpoint dropped something for this reason.
  subscript(reason: DropReason) -> UInt64 { peers.reduce(0) { $0 + $1.statistics[reason] } }
}
