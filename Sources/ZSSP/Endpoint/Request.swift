// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The name of a request until it is answered. No endpoint uses one twice, and endpoints with
/// different ``Settings/node``s never use the same.
public struct RequestID: Hashable, Sendable {
  let value: UInt64

  /// Returns the id before the first one of an endpoint.
  static func first(ofNode node: Int) -> RequestID { RequestID(value: UInt64(node) << 48) }

  /// The ``Settings/node`` of the endpoint that made the request.
  package var node: Int { Int(value >> 48) }
}

/// A request that the driver must answer before a handshake can continue. Each is answered by its
/// id, in any order and at any time. Late answers and second answers are ignored.
public enum Request: Sendable {
  /// A request to the store. Answer with ``Endpoint/answer(_:store:at:)``.
  case store(RequestID, StoreRequest)
  /// A request to the application. Answer with ``Endpoint/answer(_:accept:at:)``.
  case accept(RequestID, AcceptRequest)
  /// Call ``PublicKeyWork/run()`` on any thread, then ``Endpoint/complete(_:took:at:)``.
  case work(PublicKeyWork)
}

// [XK-28]
/// A responder's request to accept or refuse an initiator, after the initiator has proved its
/// identity.
public struct AcceptRequest: Sendable {
  /// The initiator's static key. The initiator has proved that it has the private key.
  public let peer: PublicKey
  /// The initiator's description of itself, 0 to 4096 bytes, authenticated and sent encrypted.
  public let identity: [UInt8]
  /// The source address of the initiator's proof (X3).
  public let address: Address
  /// True if the initiator proved that it has a ratchet state of this endpoint.
  public let hasRatchet: Bool
  /// The peer for which the store has that state; nil without one. Any other peer than `peer` will
  /// be refused.
  public let ratchetPeer: PublicKey?
}

/// The answer to an ``AcceptRequest``.
public enum AcceptDecision: Sendable, Hashable {
  // [MODE-7]
  /// Accepts the peer, under these flags.
  case accept(SecurityFlags)
  /// Refuses the peer. Unless `silently`, a rejection is sent to it; see
  /// ``SecurityFlags/responderRejectsSilently``.
  case reject(silently: Bool)
}

/// The public-key operations of one step of a handshake. They take hundreds of microseconds, and
/// can run on any thread.
public struct PublicKeyWork: Sendable {
  /// The request's id.
  public let id: RequestID
  /// The step of the handshake.
  public let kind: Kind
  let provider: any CryptoProvider
  let job: Action.Job
  /// The endpoint's interest in the result.
  let interest = WorkInterest()

  init(id: RequestID, kind: Kind, provider: any CryptoProvider, job: @escaping Action.Job) {
    self.id = id
    self.kind = kind
    self.provider = provider
    self.job = job
  }

  /// False once the handshake that the work is for has ended or begun anew. Then the result is of
  /// no use, and ``run()`` does nothing. May be read on any thread.
  public var isAwaited: Bool { !interest.hasEnded }

  /// The steps of the handshakes.
  public enum Kind: Sendable, Hashable, CaseIterable {
    /// Writing X1.
    case hello
    /// Solving a challenge.
    case proofOfWork
    /// Reading X1. Strangers can cause it.
    case helloReceived
    /// Writing X2. A sender with the responder's static public key can cause it.
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

    /// True if a sender who has proved nothing can cause the work, as often as it likes.
    package var isCausedByStrangers: Bool {
      switch self {
      case .helloReceived, .response: true
      case .hello, .proofOfWork, .responseReceived, .completionReceived, .rekey, .rekeyReceived, .rekeyCompleted:
        false
      }
    }

    /// The importance of the work.
    package var rank: Rank {
      switch self {
      case .hello, .proofOfWork, .responseReceived, .completionReceived: .handshakes
      case .rekey, .rekeyReceived, .rekeyCompleted: .rekeys
      case .helloReceived, .response: .strangers
      }
    }
  }

  /// The importance of work, the most important first.
  package enum Rank: Int, Sendable, Comparable, CaseIterable {
    /// Steps of handshakes in which this side or the peer has proved something.
    case handshakes
    case rekeys
    /// Steps that strangers can cause.
    case strangers

    package static func < (left: Rank, right: Rank) -> Bool { left.rawValue < right.rawValue }
  }

  /// Does the work. A second call computes an independent result, which the endpoint ignores. May
  /// be called on any thread.
  ///
  /// If the endpoint stops waiting for the result, the work ends before its next operation, and
  /// the result is a failure.
  public func run() -> PublicKeyResult {
    do {
      guard isAwaited else { throw AuthenticationFailure() }
      var computation = try job()
      while true {
        if case .done(let outcome) = computation { return PublicKeyResult(id: id, outcome: outcome) }
        guard isAwaited else { throw AuthenticationFailure() }
        computation = try computation.step(provider)
      }
    } catch {
      return PublicKeyResult(id: id, outcome: .failed)
    }
  }
}

/// The interest of an endpoint in the result of public-key work, which runs on other threads.
final class WorkInterest: Sendable {
  private let ended = Atomic(false)

  var hasEnded: Bool { ended.load(ordering: .relaxed) }

  /// Records that the result is of no use any more.
  func end() { ended.store(true, ordering: .relaxed) }
}

/// The result of an item of ``PublicKeyWork``.
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
