// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The door of an endpoint for datagrams, in every state: the first bytes of an input choose state
/// and settings, the rest is a script of what an attacker does, one who may know header keys and
/// even session keys.
func fuzz(_ input: inout FuzzInput) {
  let state = FuzzScene.State.allCases[input.below(FuzzScene.State.allCases.count)]
  let mtu = [1400, 128, 700, 9000][input.below(4)]
  let flags = SecurityFlags(rawValue: input.byte() & 15)
  let policy = [HelloPolicy.allow, .automatic(), .challenge, .drop][input.below(4)]
  let profile = Profile.allCases[input.below(Profile.allCases.count)]
  // A scene is set up without obstacles; the policy comes into force with the attack.
  let scene = FuzzScene(state, mtu: mtu, flags: flags, helloPolicy: .allow, profile: profile)
  scene.victim.endpoint.helloPolicy = policy
  var attack = Attack(scene)
  for _ in 0..<64 where !input.isEmpty { attack.step(&input) }
  scene.victim.endpoint.advanceFarther(from: scene.now)
  scene.victim.checkBounds()
}

extension Endpoint {
  /// All that waits for something comes to its end without any answer: nothing is held for ever but
  /// sessions.
  fileprivate mutating func advanceFarther(from now: Instant) {
    advance(to: now.advanced(by: .seconds(3600)))
    expect(hellos.reassembly.count == 0 && hellos.count == 0, "an hour later no handshake of a stranger is left")
  }
}

private struct Attack {
  private let scene: FuzzScene
  private var victim: FuzzPeer { scene.victim }

  init(_ scene: FuzzScene) { self.scene = scene }

  mutating func step(_ input: inout FuzzInput) {
    switch input.byte() % 14 {
    case 0: raw(&input)
    case 1: protected(&input)
    case 2: sealed(&input)
    case 3: genuine(&input)
    case 4: victim.answer(input.below(8), FuzzPeer.Answer.allCases[input.below(8)], at: scene.now)
    case 5: scene.advance(by: .milliseconds(Int64(input.integer(UInt16.self))))
    case 6: advanceToDeadline()
    case 7: hello(&input)
    case 8: application(&input)
    case 9:
      scene.collect()
      scene.deliverAll()
    case 10: victim.answerAll(at: scene.now)
    case 11: challenge(&input)
    case 12: scene.advance(by: .seconds(Int64(input.integer(UInt16.self))))
    default: unprotected(&input)
    }
    scene.collect()
  }

  private func address(_ input: inout FuzzInput) -> Address {
    let choice = input.byte()
    if choice & 3 == 0 { return victim === scene.alice ? scene.bob.address : scene.alice.address }
    return choice & 3 == 1
      ? Address(ipv4: UInt32(choice), port: 7) : Address(ipv6: UInt64(choice), 1, port: 7, scope: 2)
  }

  private func advanceToDeadline() {
    guard let deadline = victim.endpoint.nextDeadline else { return }
    scene.advance(by: max(.zero, scene.now.duration(to: deadline)))
  }

  /// Any bytes.
  private func raw(_ input: inout FuzzInput) {
    let source = address(&input)
    victim.receive(input.bytes(Int(input.integer(UInt16.self)) & 0x7FF), from: source, at: scene.now)
  }

  /// A payload of the input's bytes, repeated up to the size that the input asks for.
  private func payload(_ input: inout FuzzInput) -> [UInt8] {
    let size = Int(input.integer(UInt16.self)) & 0xFFF
    let pattern = input.bytes(input.below(64))
    return (0..<size).map { pattern.isEmpty ? 0 : pattern[$0 % pattern.count] }
  }

  private func header(_ input: inout FuzzInput, _ keyID: KeyID) -> FragmentHeader {
    let isSingle = input.flag()
    var header = FragmentHeader(
      keyID: keyID, number: isSingle ? 0 : Int(input.byte()), count: isSingle ? 1 : Int(input.byte()), type: .data,
      counter: 0)
    header.type = input.byte() % 12
    header.reserved = input.flag() ? input.byte() : 0
    header.counter = input.flag() ? input.integer(UInt64.self) : UInt64(input.byte())
    return header
  }

  private func datagram(_ header: FragmentHeader, _ payload: [UInt8], under key: (any HeaderKey)?) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: FragmentHeader.size) + payload
    bytes.withMutableBytes { bytes in
      header.write(to: &bytes)
      guard let key, bytes.byteCount >= FragmentHeader.protectedBytes.upperBound else { return }
      var block = bytes.slice(FragmentHeader.protectedBytes)
      key.encrypt(&block)
    }
    return bytes
  }

  /// A packet of strangers: nothing is protected.
  private func unprotected(_ input: inout FuzzInput) {
    let source = address(&input)
    let bytes = datagram(header(&input, .none), payload(&input), under: nil)
    victim.receive(bytes, from: source, at: scene.now)
  }

  private typealias Target = (keyID: KeyID, headerKey: any HeaderKey, session: Session?)

  /// A key id of the victim, and the header key that belongs to it.
  private func target(_ input: inout FuzzInput) -> Target? {
    var targets: [Target] = []
    let provider = victim.endpoint.configuration.provider
    // The order of a dictionary is another in each process.
    for session in victim.allSessions.sorted(by: { $0.id.index < $1.id.index }) {
      guard let headerKey = session.core.keys.headerReceivingKey(provider) else { continue }
      for keyID in session.keyIDs { targets.append((keyID, headerKey, session)) }
    }
    for handshake in victim.endpoint.hellos.handshakes {
      if let headerKey = handshake.headerReceivingKey(provider) {
        targets.append((handshake.keyID, headerKey, nil))
      }
    }
    return targets.isEmpty ? nil : targets[input.below(targets.count)]
  }

  /// A header that was protected right, before anything.
  private func protected(_ input: inout FuzzInput) {
    guard let target = target(&input) else { return }
    let source = address(&input)
    let bytes = datagram(header(&input, target.keyID), payload(&input), under: target.headerKey)
    victim.receive(bytes, from: source, at: scene.now)
  }

  /// Sends a validly sealed packet with any content, as a thief of the session's keys could.
  private func sealed(_ input: inout FuzzInput) {
    guard let target = target(&input), let key = target.session?.key(target.keyID) else { return }
    let source = address(&input)
    var header = header(&input, target.keyID)
    (header.number, header.count) = (0, 1)
    let plaintext = payload(&input)
    var packet = [UInt8](repeating: 0, count: plaintext.count + PacketSize.tag)
    let provider = victim.endpoint.configuration.provider
    let packetKey =
      header.type == PacketType.data.rawValue
      ? key.receivingKey(provider) : key.makeExchangeReceivingKey(provider)
    packet.withMutableBytes {
      packetKey.seal(plaintext.rawBytes, nonce: header.nonce, authenticating: RawSpan(), into: &$0)
    }
    victim.receive(datagram(header, packet, under: target.headerKey), from: source, at: scene.now)
  }

  /// A genuine datagram again, whole, cut, or with one byte changed.
  private func genuine(_ input: inout FuzzInput) {
    guard !scene.sent.isEmpty else { return }
    var bytes = scene.sent[scene.sent.count - 1 - input.below(scene.sent.count)].bytes
    let source = address(&input)
    switch input.byte() % 3 {
    case 0: break
    case 1: bytes.removeLast(min(bytes.count, Int(input.byte())))
    default: bytes[Int(input.integer(UInt16.self)) % bytes.count] ^= input.byte()
    }
    victim.receive(bytes, from: source, at: scene.now)
  }

  /// A genuine Hello of a stranger, whole or in part.
  private func hello(_ input: inout FuzzInput) {
    let source = address(&input)
    let keyID = KeyID(value: UInt32(input.byte()))
    let own = victim.endpoint.publicKey
    guard let key = try? scene.provider.agreementPublicKey(own),
      let hello = try? InitiatorHandshake.hello(
        keyID: keyID, to: key, ratchet: .empty, profile: victim.endpoint.configuration.profile,
        provider: scene.provider
      ).run(scene.provider)
    else { return expect(false, "a Hello can be written") }
    let packet = hello.packet + ChallengeResponse.unchallenged(proof: UInt64(input.byte())).bytes
    let plan = FragmentPlan(size: packet.count, count: 1 + input.below(FragmentHeader.largestCount))
    for number in 0..<max(0, plan.count - input.below(3)) {
      let header = FragmentHeader(
        keyID: .none, number: number, count: plan.count, type: .hello, counter: hello.counter)
      victim.receive(
        datagram(header, Array(packet[plan.range(number)]), under: nil), from: source, at: scene.now)
    }
  }

  /// A challenge to one of the victim's Hellos, with the right proof or not.
  private func challenge(_ input: inout FuzzInput) {
    let sessions = victim.allSessions.filter { !$0.offeredKeyIDs.isEmpty }
    guard let session = sessions.min(by: { $0.id.index < $1.id.index }), let keyID = session.offeredKeyIDs.first else {
      return
    }
    let proof = input.flag() ? session.challengeProof ?? 0 : input.integer(UInt64.self)
    let challenge = ChallengeResponse(input.padded(PacketSize.challenge).rawBytes).with(proof: proof)
    var header = FragmentHeader(keyID: .none, number: 0, count: 1, type: .challenge, counter: 5)
    header.reserved = input.byte()
    let bytes = datagram(header, keyID.bytes + challenge.bytes, under: nil)
    victim.receive(bytes, from: scene.bob.address, at: scene.now)
  }

  /// Does something that the victim's own application may do meanwhile.
  private func application(_ input: inout FuzzInput) {
    let sessions = victim.allSessions.sorted { $0.id.index < $1.id.index }
    let session = sessions.isEmpty ? nil : sessions[input.below(sessions.count)].id
    switch (input.byte() % 4, session) {
    case (0, let session?):
      try? victim.endpoint.send(payload(&input).rawBytes, on: session, at: scene.now)
    case (1, let session?): victim.endpoint.rekey(session, at: scene.now)
    case (2, let session?): victim.endpoint.close(session)
    default:
      guard sessions.count < 4 else { return }
      let other = victim === scene.alice ? scene.bob : scene.alice
      _ = try? victim.endpoint.open(to: other.endpoint.publicKey, at: other.address, now: scene.now)
    }
    victim.checkBounds()
  }
}

extension FuzzInput {
  /// Exactly `count` bytes.
  fileprivate mutating func padded(_ count: Int) -> [UInt8] {
    let bytes = bytes(count)
    return bytes + [UInt8](repeating: 0, count: count - bytes.count)
  }
}
