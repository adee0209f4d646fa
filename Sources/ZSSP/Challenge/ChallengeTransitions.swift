// SPDX-License-Identifier: Apache-2.0

/// Challenges going out and coming in (section 8).
extension Endpoint {
  /// Judges a complete Hello before it costs any public-key work, and sends the challenge if that is the verdict.
  mutating func judge(_ hello: [UInt8], from source: Address, at now: Instant) -> HelloGate.Verdict {
    let bytes = hello.rawBytes
    let response = ChallengeResponse(bytes.extracting(PacketSize.helloWithoutChallenge..<PacketSize.hello))
    let provider = provider
    let verdict = gate.judge(response, from: source, &challenges, provider: provider, at: now)
    if verdict == .challenge {
      let challenge = challenges.issue(to: source, proof: response.proof, provider: provider, at: now)
      let packet = bytes.extracting(0..<KeyID.size).array + challenge.bytes
      let counter = provider.randomInteger(UInt64.self)
      sendFragments(of: packet.rawBytes, .challenge, counter, to: source, .none, under: nil)
    }
    return verdict
  }

  /// A challenge came. It is Alice's only in A1, and only if it repeats the proof of her last Hello, which nobody
  /// can who has not seen it.
  mutating func challengeReceived(_ payload: RawSpan, _ header: FragmentHeader) -> Reception {
    guard header.count == 1, payload.byteCount == PacketSize.challengePacket else { return .dropped(.malformed) }
    let challenge = ChallengeResponse(payload.extracting(KeyID.size..<PacketSize.challengePacket))
    guard case .session(let session)? = keyIDs[KeyID(payload)], case .a1(.sent) = session.state,
      session.offeredKeyID == KeyID(payload), challenge.proof == session.challengeResponse.proof
    else { return .dropped(.unexpectedChallenge) }
    guard session.pending == nil, session.solvedChallenge == nil else { return .dropped(.busy) }
    let (start, provider) = (provider.randomInteger(UInt64.self), provider)
    ask(.proofOfWork, then: .challengeSolved(session)) {
      .proofOfWork(ProofOfWork.solve(challenge, from: start, provider: provider))
    }
    return .handled
  }
}
