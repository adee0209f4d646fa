// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6, Bob: ⊥ → B2.

extension ReferencePeer {
  /// "Bob checks: length 1749; challenge policy; packet-nonce counter equals the last 8 bytes of
  /// the Hello *without* the 32-byte challenge response; both decryptions; kid_A ≠ 0." Section 14:
  /// "Checks that cost nothing come first."
  func receiveX1(_ packet: [UInt8], header: Header, from source: Address, at now: Instant) throws(Drop) {
    let hello = Array(packet[0..<Size.x1WithoutResponse])
    // [DEC-19] [XK-8] [XK-10]
    guard header.counter == integer(hello.suffix(8)) else { throw .notAuthentic }
    guard integer(hello[0..<4]) != 0 else { throw .malformed }
    // [CHAL-8]
    let isAllowed = try checkPolicy(
      hello, response: ChallengeBytes(packet[Size.x1WithoutResponse...]), from: source, at: now)
    guard isAllowed else { return readWaitingX1(at: now) }
    try readX1(hello, from: source, wasChallenged: helloPolicy == .allow ? nil : false, at: now)
  }

  /// Section 14, "Turns".
  func readWaitingX1(at now: Instant) {
    while let (hello, address) = gate.next(helloPolicy, at: now) {
      // A queued Hello has no caller that could use the reason for its drop.
      do { try readX1(hello, from: address, wasChallenged: true, at: now) } catch { continue }
    }
  }

  /// - Parameter wasChallenged: the budget that the Hello was charged to; nil if none.
  private func readX1(
    _ hello: [UInt8], from source: Address, wasChallenged: Bool?, at now: Instant
  ) throws(Drop) {
    // Section 14: "A new half-open handshake evicts one that waits for its X3", "the oldest of the
    // source that has most of them. Room is made before X1 is read."
    // [DEC-26] [FRAG-12]
    if halfOpen.count >= settings.halfOpenLimit {
      let heaviest = Source.heaviest(halfOpen.map { Source($0.address) })
      if let oldest = halfOpen.firstIndex(where: { heaviest.contains(Source($0.address)) }) {
        forget(halfOpen[oldest])
      }
    }
    let x1: ReadX1
    // [XK-9]
    do { x1 = try XK.readX1(hello, bob: staticKey, profile: profile, crypto: crypto) } catch { throw .notAuthentic }

    let found = try findRatchet(x1)
    // "Neither known: with flag π1 he stays silent, else he continues with the empty state."
    // [MODE-1] [XK-12]
    if found == nil, flags.helloRequiresRatchet { throw .unknownRatchet }
    if found == nil {
      // Section 14, "A store that is slow": "A Hello that names a state which the store is asked to
      // take is no stranger's".
      let names = [x1.rf1, x1.rf2].map { Fingerprint($0.span.bytes) }
      // [DEC-71]
      if names.contains(where: { name in storedNames[name].map { now < $0 } ?? false }) { throw .busy }
      // "Under the empty state he remembers the first for the handshake timeout."
      // [DEC-65]
      if !names[0].isEmpty { leftBehind[names[0]] = now.advanced(by: settings.handshakeTimeout) }
    }
    // [XK-13]
    try sendX2(to: x1, answering: found, from: source, wasChallenged: wasChallenged, at: now)
  }

  /// Applies section 8. Returns true if X1 is read now; otherwise it waits.
  private func checkPolicy(
    _ hello: [UInt8], response: ChallengeBytes, from source: Address, at now: Instant
  ) throws(Drop) -> Bool {
    let verdict = gate.admit(
      hello, response: response, from: source, policy: helloPolicy, isSilent: flags.helloRequiresRatchet,
      patience: settings.handshakeTimeout / 2, challenger: &challenger, at: now)
    switch verdict {
    case .allow: return true
    case .wait: return false
    case .drop: throw .overBudget
    case .challenge:
      // "He answers with type 9, header key id 0, unprotected, and drops the Hello before any
      // public-key work." The packet-nonce counter is random (section 4).
      // [CHAL-7]
      let challenge = challenger.challenge(source, pow: response.pow, at: now)
      emit(
        hello[0..<4] + challenge.bytes, type: .challenge, counter: randomInteger(), to: source, keyID: 0, headerKey: nil
      )
      throw .challenged
    }
  }

  /// The values that Bob has about the peer of a Hello.
  private typealias Found = (state: RatchetState, peer: PublicKey, revision: UInt64)

  /// "He looks up rf1 (unless zero) and, if that is unknown, rf2 (unless zero)." Section 14:
  /// "Before X2 he reads the row of the peer whose fingerprint he found."
  private func findRatchet(_ x1: ReadX1) throws(Drop) -> Found? {
    do {
      let offered = [x1.rf1, x1.rf2].map { Fingerprint($0.span.bytes) }
      // [DEC-67] [XK-11]
      guard offered.contains(where: { !$0.isEmpty }), let peer = try store.state(offered[0], offered[1])?.peer else {
        return nil
      }
      // [DEC-66]
      var row = try store.row(peer)
      // Section 14, "Attempts in both directions": "Where a Hello names both states that he holds,
      // he answers under the one with the smaller fingerprint."
      func used() -> RatchetState? {
        // [DEC-75]
        common(row.pair, offered: offered).min { $0.fingerprint.bytes.lexicographicallyPrecedes($1.fingerprint.bytes) }
      }
      // Section 14, "Attempts that are abandoned": "Whoever answers a Hello under one of the two
      // states that it names revokes the other, durably before X2 leaves, unless it is held."
      if let used = used(), let other = offered.first(where: { $0 != used.fingerprint }), !other.isEmpty,
        ![row.pair.state1, row.pair.state2].contains(where: { $0?.fingerprint == other })
      {
        // [DEC-63]
        row = try store.revoke(of: peer, name: other)
        revoke(other, of: peer)
      }
      return used().map { ($0, peer, row.revision) }
    } catch { throw .storeFailed }
  }

  private func common(_ pair: RatchetPair, offered: [Fingerprint]) -> [RatchetState] {
    [pair.state1, pair.state2].compactMap(\.self).filter { !$0.isEmpty && offered.contains($0.fingerprint) }
  }

  /// Section 14, "Attempts that are abandoned": "He takes no X3 and no K2 any more that leads to
  /// that state."
  private func revoke(_ fingerprint: Fingerprint, of peer: PublicKey) {
    for other in halfOpen where other.ratchetPeer == peer { other.revoked.insert(fingerprint) }
    for session in sessions where session.peerKey == peer {
      if case .r1 = session.state { session.revoked.insert(fingerprint) }
    }
  }

  /// X2: → B2. It is "sent once, never resent" (section 11).
  private func sendX2(
    to x1: ReadX1, answering found: Found?, from source: Address, wasChallenged: Bool?, at now: Instant
  ) throws(Drop) {
    let x2: WrittenX2
    do {
      x2 = try XK.writeX2(to: x1, using: found?.state ?? .empty, profile, newKeyID: newKeyID)
    } catch { throw .notAuthentic }
    // [XK-14]
    let handshake = HalfOpen(
      address: source, kidA: x1.kidA, ratchetPeer: found?.peer, revision: found?.revision, swapsBefore: swapCount,
      x2: x2, headerKeys: x1.headerKeys,
      expiry: now.advanced(by: settings.handshakeTimeout))
    handshake.wasChallenged = wasChallenged
    halfOpen.append(handshake)
    // "Header: key id kid_A, protected with hk_toAlice."
    // [DEC-28] [PKT-7] [TIME-3] [XK-17]
    emit(x2.packet, type: .x2, counter: x2.counter, to: source, keyID: x1.kidA, headerKey: handshake.headerKeys.send)
  }
}
