// SPDX-License-Identifier: Apache-2.0

/// Names a request until it is answered. Never used twice by one endpoint, nor by two with different ``Settings/node``s.
public struct RequestID: Hashable, Sendable {
  let value: UInt64

  /// The first of an endpoint's is behind this one.
  static func first(ofNode node: Int) -> RequestID { RequestID(value: UInt64(node) << 48) }

  /// The ``Settings/node`` of the endpoint that asks.
  package var node: Int { Int(value >> 48) }
}

/// What an endpoint needs from outside before it can go on. Each is answered by its id, in any order and at any time;
/// an answer that comes too late is ignored, and so is a second one.
public enum Request: Sendable {
  /// Ask the store, then call ``Endpoint/answer(_:store:at:)``.
  case store(RequestID, StoreRequest)
  /// Ask the application, then call ``Endpoint/answer(_:accept:at:)``.
  case accept(RequestID, AcceptRequest)
  /// Call ``PublicKeyWork/run()`` on any thread, then ``Endpoint/complete(_:took:at:)``.
  case work(PublicKeyWork)
}

// [XK-28]
/// "Who is this, and do we take them?" A responder asks it once the initiator has proved who it is.
public struct AcceptRequest: Sendable {
  /// The initiator's static key, proved.
  public let peer: PublicKey
  /// What the initiator says of itself, 0…4096 bytes. Authenticated, and encrypted on the way.
  public let identity: [UInt8]
  /// Where the initiator's proof (X3) came from.
  public let address: Address
  /// Whether the initiator proved that it holds a ratchet state of ours.
  public let hasRatchet: Bool
  /// For whom the store keeps that state, if so. Anyone else than `peer` will be refused.
  public let ratchetPeer: PublicKey?
}

/// The answer to an ``AcceptRequest``.
public enum AcceptDecision: Sendable, Hashable {
  // [MODE-7]
  /// Take the peer, under these flags.
  case accept(SecurityFlags)
  /// Refuse it. If not `silently` it is told so (flag π4).
  case reject(silently: Bool)
}

/// Public-key operations of one step of a handshake: hundreds of microseconds of computing, to be run anywhere.
public struct PublicKeyWork: Sendable {
  /// The request's id.
  public let id: RequestID
  /// Which step it is.
  public let kind: Kind
  let job: @Sendable () -> PublicKeyResult.Outcome

  /// The steps of the handshakes.
  public enum Kind: Sendable, Hashable, CaseIterable {
    /// Writing X1.
    case hello
    /// Solving a challenge.
    case proofOfWork
    /// Reading X1. Strangers can cause it.
    case helloReceived
    /// Writing X2. Whoever knows the responder's static key can cause it.
    case response
    /// Reading X2 and writing X3.
    case responseReceived
    /// Reading X3.
    case completionReceived
    /// Writing K1.
    case rekey
    /// Reading K1 and writing K2.
    case rekeyReceived
    /// Reading K2.
    case rekeyCompleted

    /// Whether someone who has proved nothing can cause the work, as often as they like.
    package var isCausedByStrangers: Bool {
      switch self {
      case .helloReceived, .response: true
      case .hello, .proofOfWork, .responseReceived, .completionReceived, .rekey, .rekeyReceived, .rekeyCompleted:
        false
      }
    }
  }

  /// Computes. Calling it twice gives two independent results, of which the endpoint takes the first.
  public func run() -> PublicKeyResult { PublicKeyResult(id: id, outcome: job()) }
}

/// What came of an item of ``PublicKeyWork``.
public struct PublicKeyResult: Sendable {
  /// The request's id.
  public let id: RequestID
  let outcome: Outcome

  enum Outcome: Sendable {
    case hello(InitiatorHandshake.Hello)
    case proofOfWork(ChallengeResponse)
    case helloReceived(ResponderHandshake.Hello)
    case response(ResponderHandshake.Response)
    case responseReceived(InitiatorHandshake.Completion)
    case completionReceived(ResponderHandshake.Completion)
    case rekey(RekeyHandshake.Initiation)
    case rekeyReceived(RekeyHandshake.Response)
    case rekeyCompleted(KeyID, SessionSecrets)
    case failed
  }
}
