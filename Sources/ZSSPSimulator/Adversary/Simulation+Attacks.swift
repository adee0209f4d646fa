// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Attackers see all datagrams, and send any datagram from any address. They hold no peer's key.
extension Simulation {
  func planAttack() {
    guard plan.attacksPerSecond > 0 else { return }
    let mean = Duration.nanoseconds(Int64(1e9 / plan.attacksPerSecond))
    agenda.add(.attack(phase: phase), at: now.advanced(by: attackRandom.interval(mean: mean)))
  }

  func attack() {
    planAttack()
    guard !captured.isEmpty else { return }
    let original = captured[attackRandom.below(captured.count)]
    var parcel = original
    parcel.sender = nil
    parcel.label = nil
    let kind = attackRandom.below(7)
    switch kind {
    case 0: parcel.label = original.label  // as it was
    case 1:
      for _ in 0...attackRandom.below(3) {
        let bit = attackRandom.below(8 * parcel.bytes.count)
        parcel.bytes[bit / 8] ^= 1 << UInt8(bit & 7)
      }
      // Two flips of one bit restore the original.
      parcel.isForged = parcel.bytes != original.bytes
    case 2:
      parcel.bytes.removeLast(1 + attackRandom.below(parcel.bytes.count))
      parcel.isForged = true
      parcel.isMadeUp = true
    case 3:
      parcel.bytes += (0..<1 + attackRandom.below(64)).map { UInt8(truncatingIfNeeded: $0) }
      parcel.isForged = true
      parcel.isMadeUp = true
    case 4: forgeBody(&parcel)
    case 5: return flood(to: parcel.to)
    default:
      // Sends it to another peer than the addressee.
      parcel.label = original.label
      parcel.to = peers[attackRandom.below(peers.count)].address
    }
    let source = attackRandom.below(4)
    if source == 0 { parcel.from = mallory(attackRandom.below(16)) }
    if source == 1 { parcel.from = peers[attackRandom.below(plan.peers)].address }
    inject(parcel)
  }

  /// Keeps the key id of the captured datagram, and replaces the rest by noise.
  private func forgeBody(_ parcel: inout Parcel) {
    let keyID = parcel.bytes.prefix(4)
    let size = attackRandom.below(1400)
    parcel.bytes = keyID + (0..<size).map { _ in UInt8(truncatingIfNeeded: attackRandom.next()) }
    parcel.isForged = true
    parcel.isMadeUp = true
  }

  /// Sends Hellos that pass all cheap checks.
  private func flood(to address: Address) {
    for _ in 0..<1 + attackRandom.below(12) {
      var random = attackRandom
      let hello = FloodHello.make(&random)
      attackRandom = random
      inject(
        Parcel(
          from: mallory(attackRandom.below(1 << 16)), to: address, bytes: hello, sender: nil, isForged: true,
          isMadeUp: true))
    }
  }

  private func inject(_ parcel: Parcel) {
    report.attacks += 1
    trace.add(.attack, parcel.bytes.count, Int(parcel.to.low & 0xFFFF), at: now)
    agenda.add(.deliver(parcel), at: now.advanced(by: attackRandom.duration(.milliseconds(1) ... .milliseconds(80))))
  }

  /// Returns an address of the adversary.
  func mallory(_ host: Int) -> Address { Address(ipv4: 0xD000_0001 + UInt32(host), port: 6666) }

  /// Returns true for an address of the adversary.
  func isMallory(_ address: Address) -> Bool { address.port == 6666 && address.low >> 28 == 0xD }

  /// A stranger is an endpoint that the peers do not know. It does what the protocol allows.
  func strangerActs(_ peer: SimulatedPeer) {
    // It sends a Hello every second, without an answer.
    if let known = peer.known.first { return close(peer, session: known.id) }
    let other = attackRandom.below(plan.peers)
    trace.add(.open, peer: peer.index, other, at: now)
    let time = localTime(peer)
    guard
      let id = peer.endpoint.open(
        to: peers[other].publicKey, at: peers[other].address, identity: [], flags: nil, now: time)
    else { return }
    peer.known.append(.init(id: id, other: other, state: "A1", since: time))
    settle(peer)
  }
}

/// Random Hellos of the right size, in one fragment, with the counter that their end demands.
public enum FloodHello {
  /// Makes a datagram.
  public static func make(_ random: inout SimulationRandom) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: FragmentHeader.size + PacketSize.hello)
    // A valid point costs the responder most. In the stand-in's toy group small numbers are valid,
    // with zeros behind them.
    let words = (bytes.count - FragmentHeader.size) / 8
    var counter: UInt64 = 0
    bytes.withMutableBytes { bytes in
      for index in 0..<words { bytes.store(random.next(), at: FragmentHeader.size + 8 * index) }
      let point = FragmentHeader.size + KeyID.size
      for index in 1..<PublicKey.size where index < 2 || index > 8 { bytes.store(0 as UInt8, at: point + index) }
      bytes.store(2 as UInt8, at: point)
      counter = bytes.bytes.load(UInt64.self, at: FragmentHeader.size + PacketSize.helloWithoutChallenge - 8)
      // Without a challenge, all bytes but the proof are zero.
      for index in 0..<3 {
        bytes.store(0 as UInt64, at: FragmentHeader.size + PacketSize.helloWithoutChallenge + 8 * index)
      }
      FragmentHeader(keyID: .none, number: 0, count: 1, type: .hello, counter: counter).write(to: &bytes)
    }
    return bytes
  }
}
