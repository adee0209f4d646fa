// SPDX-License-Identifier: Apache-2.0

/// One session with one peer, from the first Hello, or the acceptance of one, to its end.
///
/// A session holds what its state needs; the transitions are methods of ``Endpoint``, which has the queues.
final class Session: Timed {
  let id: SessionID

  // What a data packet needs comes first, in a few lines of memory: see ``Endpoint/prefetch(_:)``.

  /// Where ``ExpandedKeys`` has the session; -1 if its keys are not expanded.
  var placeOfExpanded = -1
  /// The counter of the next packet of types 3 to 8 (section 4).
  var sendCounter: UInt64 = 0
  /// What sending takes, while the session is in use. It goes with each of the keys that it was made of.
  var sendPath: SendPath?
  /// Where to send.
  var address: Address
  var statistics = SessionStatistics()
  /// The key for sending.
  var currentKey: SessionKey? { didSet { sendPath = nil } }
  /// The next key in A3 and R2, else the previous one if there was one.
  var otherKey: SessionKey?
  /// hk for sending and receiving, from X1 on.
  private(set) var headerKeys: HeaderKeyPair?

  /// The side in the XK handshake.
  private(set) var role: Role
  /// The peer's static key.
  let peer: PublicKey
  /// The same, decoded, for as long as this side may say Hello with it. Decoded keys are large, and a re-key is rare.
  var peerPoint: (any AgreementPublicKey)?
  /// What the initiator says of itself.
  private(set) var identity: [UInt8]
  private(set) var flags: SecurityFlags

  /// The request by which the application accepted the peer, on the responder's side.
  var acceptance: RequestID?
  var state: ZetaState

  /// The id that a Hello or a K1 of ours names, until there is a key of that id.
  var offeredKeyID = KeyID.none
  /// The id that a K2 of ours names, until there is a key of that id.
  var answeredKeyID = KeyID.none
  /// What the store holds for the peer, as far as this session knows.
  var ratchet = RatchetPair.empty
  /// The last request that changed what the store holds for the peer.
  var lastSwap: RequestID?
  var replayWindow = ReplayWindow()
  var reassembly: SessionReassembly

  /// The challenge response that X1 ended with when it was sent last.
  var challengeResponse = ChallengeResponse.unchallenged(proof: 0)
  /// The one that X1 will end with next.
  var solvedChallenge: ChallengeResponse?
  /// The request that the session waits for. Answers to any other are late.
  var pending: RequestID?
  /// When the answer to the request is given up where no timer of the state would do so.
  var pendingDeadline = Instant.distantFuture
  /// When the state ends, or in S2 the re-key begins.
  var stateDeadline = Instant.distantFuture
  /// When the packet of the state is sent again.
  var resendDeadline = Instant.distantFuture
  /// Outcomes of re-keys that the peer has given up since: a K2 that leads to one of them comes too late.
  var givenUp = GivenUpStates()
  /// Whether the last handshake failed to authenticate: then the next failure does not start another at once.
  var isBackingOff = false

  /// The chain length of the state that this side held when the handshake went on without it.
  var downgradedFrom: UInt64?
  /// Why the handshake started anew the last time.
  var lastRestart: RestartReason?

  init(
    id: SessionID, role: Role, peer: PublicKey, identity: [UInt8], flags: SecurityFlags,
    address: Address, state: ZetaState, settings: Settings
  ) {
    self.id = id
    self.role = role
    self.peer = peer
    self.identity = identity
    self.flags = flags
    self.address = address
    self.state = state
    reassembly = SessionReassembly(
      limits: .init(packets: settings.reassemblyPackets, bytes: settings.reassemblyLimit),
      timeout: settings.reassemblyTimeout)
  }

  /// The session goes on in a handshake that the peer began.
  func become(_ role: Role, identity: [UInt8], flags: SecurityFlags, address: Address) {
    (self.role, self.identity, self.flags, self.address, state) = (role, identity, flags, address, .s1)
    peerPoint = nil
  }

  /// The session has other header keys, or none. Nothing is expanded before the session has a place for it.
  func setHeaderKeys(_ keys: HeaderKeyPair?) {
    headerKeys = keys
    headerKeys?.giveUpExpanded()
    sendPath = nil
  }

  /// Keeps the key that has uncovered a header of the peer's.
  func keep(receiving key: any HeaderKey) { headerKeys?.keep(receiving: key) }

  /// Gives up all keyed objects. They are made again when they are used.
  func giveUpExpandedKeys() {
    sendPath = nil
    headerKeys?.giveUpExpanded()
    currentKey?.giveUpExpanded()
    otherKey?.giveUpExpanded()
  }

  /// The earliest of all that the session waits for.
  var nextDeadline: Instant {
    min(min(stateDeadline, resendDeadline), min(pendingDeadline, reassembly.nextDeadline ?? .distantFuture))
  }

  /// The key that the peer means by `keyID`.
  func key(_ keyID: KeyID) -> SessionKey? {
    if let currentKey, currentKey.localID == keyID { return currentKey }
    if let otherKey, otherKey.localID == keyID { return otherKey }
    return nil
  }

  /// How often `key` was used at most: the counters taken since it was made.
  func uses(of key: SessionKey) -> UInt64 { sendCounter - key.firstCounter }
}

/// Counters of one session.
public struct SessionStatistics: Sendable, Hashable {
  /// Messages that were delivered.
  public internal(set) var messagesReceived: UInt64 = 0
  /// Bytes of the messages that were delivered.
  public internal(set) var bytesReceived: UInt64 = 0
  /// Messages that were sent.
  public internal(set) var messagesSent: UInt64 = 0
  /// Bytes of the messages that were sent.
  public internal(set) var bytesSent: UInt64 = 0
  /// Handshakes begun, the first included.
  public internal(set) var handshakes: UInt64 = 0
  /// Re-keys completed.
  public internal(set) var rekeys: UInt64 = 0
}
