// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// A peer of the protocol, written to be read beside the specification.
///
/// It does everything at once, in the order of the text: when ``receive(_:from:at:)`` returns, the
/// store and the application have been asked, and ``takeDatagrams()`` returns the datagrams to
/// send. It is an oracle for tests and a text for readers. It is **not** for use: it does not wipe
/// keys, blocks for every computation, and its running time depends on its content.
///
/// Start with `Noise.swift`, `Handshake.swift` and `Fragments.swift` (sections 3, 6 and 5), then
/// follow a session through `Alice.swift`, `Bob.swift`, `Confirmation.swift` and `Rekeying.swift`.
///
/// Random values are drawn in this order: the salt when a peer is created; for X1 the key id, x,
/// the KEM key, the pow; for X2 y, the encapsulation, the key id; for K1 the key id, x; for K2 y,
/// the key id; on entering S2 the re-key time. A peer that draws in this order, from the same
/// source and with the same input, emits the same bytes.
public final class ReferencePeer {
  /// The profile of section 13.
  public let profile: Profile
  /// Section 10: π1, and the flags of sessions that are opened without flags of their own.
  public let flags: Flags
  /// The settings of sections 5 and 11.
  public let settings: Settings
  /// The policy of section 8.
  public var helloPolicy: HelloPolicy

  let crypto: Primitives
  let staticKey: any AgreementPrivateKey
  let store: any ReferenceStore
  let accept: (Question) -> Answer

  /// The sessions, in order of creation.
  var sessions: [Session] = []
  /// Bob's half-open handshakes, the oldest first.
  var halfOpen: [HalfOpen] = []
  /// Section 14, "An X3 that comes late": the number of swaps of established sessions and of X2s
  /// based on a state, and the number of each peer's last one.
  var swapCount = 0
  var lastSwaps: [PublicKey: Int] = [:]
  var lastAnswers: [PublicKey: Int] = [:]
  /// Section 14, "A store that is slow": names that the store was asked to take, each with the time
  /// until which it matters.
  var storedNames: [Fingerprint: Instant] = [:]
  /// Section 14, "Attempts that are abandoned": names that strangers have abandoned, each with the
  /// time until which it is remembered.
  var leftBehind: [Fingerprint: Instant] = [:]
  var hellos: HelloReassembly
  var challenger: Challenger
  var gate = Gate()
  private var sessionCounter = 0
  private var outgoing: [(address: Address, bytes: [UInt8])] = []
  private var events: [Event] = []

  /// Creates a peer without sessions.
  ///
  /// - Parameters:
  ///   - staticKey: the peer's static key.
  ///   - provider: the source of cryptography.
  ///   - profile: the variant of the protocol.
  ///   - flags: the flags of section 10.
  ///   - helloPolicy: the policy on Hellos.
  ///   - settings: durations and limits.
  ///   - store: the store of ratchet states.
  ///   - accept: the application's answer to a peer that has proved its identity (section 6, X3).
  public init(
    staticKey: any AgreementPrivateKey, provider: any CryptoProvider, profile: Profile = .kyber1024,
    flags: Flags = Flags(), helloPolicy: HelloPolicy = .automatic, settings: Settings = Settings(),
    store: any ReferenceStore, accept: @escaping (Question) -> Answer
  ) {
    self.staticKey = staticKey
    self.profile = profile
    self.flags = flags
    self.settings = settings
    self.helloPolicy = helloPolicy
    self.store = store
    self.accept = accept
    crypto = Primitives(provider: provider)
    hellos = HelloReassembly(packetLimit: settings.helloLimit, fragmentLimit: settings.helloFragmentLimit)
    challenger = Challenger(salt: crypto.random(32), crypto)
  }

  // MARK: Calls of the application

  /// Sends a message under the current key: "Data may be sent in S1, S2, R1, R2" (section 6).
  ///
  /// - Throws: ``Refusal/noSession``, ``Refusal/tooLong`` or ``Refusal/keyExhausted``.
  public func send(_ message: [UInt8], on session: Int, at now: Instant) throws(Refusal) {
    // [CTRL-6]
    guard let session = find(session), session.canSend, let key = session.current else { throw .noSession }
    // Section 5: "Largest sendable plaintext: `48·(M − 16) − 16`."
    // [FRAG-8]
    guard message.count <= 48 * (settings.mtu - 16) - 16 else { throw .tooLong }
    guard let counter = takeCounter(session, under: key) else { throw .keyExhausted }
    let packet = crypto.seal(key.nk.send, nonce: nonce(PacketType.p.rawValue, counter), plaintext: message)
    emit(
      packet, type: .p, counter: counter, to: session.address, keyID: key.remoteID, headerKey: session.headerKeys?.send,
      mtu: settings.mtu)
    // Section 4: "At 2^30 uses in state S2 a re-key starts at once."
    // [CTR-11]
    if case .s2 = session.state, session.uses(of: key) >= settings.rekeyUses { startRekey(session, at: now) }
  }

  /// Starts a re-key early. Only S2 can (section 7), and not sooner than the peer is expected to
  /// allow (section 14).
  ///
  /// - Returns: true if it starts.
  @discardableResult
  public func rekey(_ session: Int, at now: Instant) -> Bool {
    // [DEC-37]
    guard let session = find(session), case .s2 = session.state,
      session.ownTokens.hasOne(of: settings.rekeyBurst, at: now)
    else { return false }
    startRekey(session, at: now)
    return true
  }

  /// Ends a session, and sends D.
  public func close(_ session: Int) {
    guard let session = find(session) else { return }
    // [DEC-84]
    if session.canSend { sendControl(.d, on: session, under: session.current) }
    end(session, reason: .closed)
  }

  /// Removes and returns the datagrams to send, in order.
  public func takeDatagrams() -> [(address: Address, bytes: [UInt8])] {
    defer { outgoing = [] }
    return outgoing
  }

  /// Removes and returns the events, in order.
  public func takeEvents() -> [Event] {
    defer { events = [] }
    return events
  }

  // MARK: Helpers of the steps

  func report(_ event: Event) { events.append(event) }

  func find(_ session: Int) -> Session? { sessions.first { $0.id == session } }

  func nextSessionID() -> Int {
    sessionCounter += 1
    return sessionCounter
  }

  /// Section 4: "a random non-zero 32-bit id unused among its own sessions and half-open
  /// handshakes."
  func newKeyID() -> KeyID {
    while true {
      let keyID = KeyID(integer(crypto.random(4)))
      // [KID-2]
      let isUsed = sessions.contains { $0.keyIDs.contains(keyID) } || halfOpen.contains { $0.x2.kidB == keyID }
      // [KID-1]
      if keyID != 0, !isUsed { return keyID }
    }
  }

  func randomInteger() -> UInt64 { integer(crypto.random(8)) }

  /// Section 4: one send counter for types 3 to 8. "At that many uses since the key was made the
  /// session ends."
  func takeCounter(_ session: Session, under key: SessionKey) -> UInt64? {
    // [CTR-10]
    guard session.uses(of: key) < settings.keyUseLimit else {
      end(session, reason: .keyExhausted)
      return nil
    }
    // [CTR-1]
    defer { session.sendCounter += 1 }
    return session.sendCounter
  }

  /// Sends C1, C2, K1 or K2: sealed "AEAD(kek, type‖counter, no aad)" (sections 6 and 7), under a
  /// fresh counter.
  func sendControl(_ type: PacketType, inner: [UInt8] = [], on session: Session, under key: SessionKey?) {
    guard let key, let counter = takeCounter(session, under: key) else { return }
    // [CTRL-1] [KK-8] [PKT-8]
    let packet = crypto.seal(key.kek.send, nonce: nonce(type.rawValue, counter), plaintext: inner)
    // [KID-3]
    emit(
      packet, type: type, counter: counter, to: session.address, keyID: key.remoteID,
      headerKey: session.headerKeys?.send)
  }

  /// Cuts a packet into datagrams (section 5). Those of handshakes have "at most 1,200 bytes"
  /// (section 14).
  func emit(
    _ packet: [UInt8], type: PacketType, counter: UInt64, to address: Address, keyID: KeyID, headerKey: [UInt8]?,
    mtu: Int? = nil
  ) {
    // [DEC-85]
    let mtu = mtu ?? min(settings.mtu, settings.handshakeMTU)
    let datagrams = fragments(
      of: packet, type: type, counter: counter, to: keyID, mtu: mtu, headerKey: headerKey, crypto: crypto)
    outgoing += datagrams.map { (address, $0) }
  }

  /// Ends a session: → ⊥.
  func end(_ session: Session, reason: End) {
    guard sessions.contains(where: { $0 === session }) else { return }
    sessions.removeAll { $0 === session }
    report(.ended(session: session.id, reason))
  }

  /// Section 9: compare-and-swap. "A failed comparison ends the session instance. A storage error
  /// drops the packet and changes nothing."
  ///
  /// - Returns: true if it was swapped. If not, the session has ended or begun a new handshake.
  func swap(
    _ session: Session, to new: RatchetPair, since start: UInt64? = nil, at now: Instant
  ) throws(Drop) -> Bool {
    do {
      // [RAT-9]
      if try store.swap(of: session.peerKey, from: session.ratchet, to: new, since: start) {
        session.ratchet = new
        // In A1 X3 was not sent yet, so the peer has not confirmed.
        if case .a1 = session.state {} else { recordSwap(session.peerKey) }
        return true
      }
    } catch { throw .storeFailed }
    // Section 14: "Where the application is still opening a session, the next instance begins at
    // once, and after further failures in a row at the resend interval."
    // [DEC-48] [RAT-8]
    if session.canSend {
      end(session, reason: .ratchetConflict)
    } else {
      handshakeFailed(of: session, reason: .ratchetConflict, at: now)
    }
    return false
  }

  /// Section 14, "An X3 that comes late".
  func recordSwap(_ peer: PublicKey) {
    swapCount += 1
    lastSwaps[peer] = swapCount
  }

  /// Records an X2 that is based on a state, for the same rule.
  func recordAnswer(_ peer: PublicKey, used: RatchetState) {
    guard !used.isEmpty else { return }
    swapCount += 1
    lastAnswers[peer] = swapCount
  }
}
