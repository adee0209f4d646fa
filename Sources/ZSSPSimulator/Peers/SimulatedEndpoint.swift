// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// The endpoint of a simulated peer: ZSSP's, or another implementation of the protocol.
///
/// Sessions have numbers chosen by the implementation. An implementation may access the store and
/// the application by requests, as ZSSP does, or synchronously by its environment.
package protocol SimulatedEndpoint: AnyObject {
  var nextDeadline: Instant? { get }
  var holdings: SimulatedHoldings { get }
  var traffic: SimulatedTraffic { get }
  /// True if all consequences of a datagram are visible when ``receive(_:from:at:)`` returns.
  var actsAtOnce: Bool { get }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception
  func advance(to now: Instant)
  func open(to peer: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant) -> Int?
  func send(_ message: [UInt8], on session: Int, at now: Instant) throws
  func rekey(_ session: Int, at now: Instant)
  func close(_ session: Int)
  func session(_ number: Int) -> SimulatedSession?
  /// Identifies a session and its key; nil before a key exists, or if unknown.
  func keyMark(_ session: Int) -> KeyMark?
  /// Identifies a session's handshake; nil before a Hello exists, or if unknown.
  func handshakeMark(_ session: Int) -> HandshakeMark?
  /// This side's id of the key that a session sends with; nil before one exists, or if unknown.
  func localKeyID(_ session: Int) -> KeyID?
  func takeEvents() -> [SimulatedEvent]
  func takeDatagrams() -> [(address: Address, bytes: [UInt8])]
  /// Returns the records of a trace since the last call, each with the number of the endpoint among
  /// those that act as one.
  func takeTrace() -> [(node: Int, record: TraceRecord)]

  func nextRequest() -> Request?
  func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant)
  func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant)
  /// Cancels the application's acceptance. Returns true if no session will result.
  func cancelAccept(_ id: RequestID) -> Bool
  func complete(_ result: PublicKeyResult, at now: Instant)
  func refuse(_ id: RequestID)
}

/// The parameters of an implementation.
package struct SimulatedEnvironment {
  /// The configuration, in ZSSP's terms.
  package let configuration: EndpointConfiguration
  /// Executes a store request synchronously.
  package let store: (StoreRequest) -> StoreAnswer
  /// Returns the application's decision about a peer, and about the owner of its ratchet state.
  package let accept: (_ peer: PublicKey, _ ratchetPeer: PublicKey?) -> AcceptDecision
}

/// The result of a datagram.
package enum SimulatedReception {
  case message(Int, [UInt8])
  case handled
  case dropped(String)
}

/// An event, in the terms of ``ZSSP/Event``.
package enum SimulatedEvent {
  case established(Int, peer: PublicKey, Role, chainLength: UInt64, acceptance: RequestID? = nil)
  case confirmed(Int)
  case restarted(Int, String)
  case downgraded(Int, peer: PublicKey, heldChainLength: UInt64)
  case rekeyed(Int, chainLength: UInt64)
  case answered(Int)
  case moved(Int)
  case ended(Int, String)
  case withdrawn(String)

  /// The text for traces.
  var name: String {
    switch self {
    case .established(_, _, let role, let length, _): "established \(role) chain \(length)"
    case .confirmed: "confirmed"
    case .restarted(_, let reason): "restarted: \(reason)"
    case .downgraded(_, _, let length): "downgraded from \(length)"
    case .rekeyed(_, let length): "rekeyed chain \(length)"
    case .answered: "answered"
    case .moved: "moved"
    case .ended(_, let reason): "ended: \(reason)"
    case .withdrawn(let reason): "withdrawn: \(reason)"
    }
  }
}

/// A session as seen from outside.
package struct SimulatedSession {
  let state: String
  let address: Address
  let isEstablished: Bool
  let chainLength: UInt64
  /// The end of the state, and the next repetition of its packet.
  let stateDeadline, resendDeadline: Instant

  package init(
    state: String, address: Address, isEstablished: Bool, chainLength: UInt64, stateDeadline: Instant,
    resendDeadline: Instant
  ) {
    self.state = state
    self.address = address
    self.isEstablished = isEstablished
    self.chainLength = chainLength
    self.stateDeadline = stateDeadline
    self.resendDeadline = resendDeadline
  }
}

/// The memory of an implementation.
package struct SimulatedHoldings {
  let sessions, halfOpen, incompleteHellos, keyIDs, timers, requests: Int
  /// The bytes of all incomplete packets, and of the session with the most.
  let reassemblyBytes, largestReassembly: Int

  package init(
    sessions: Int, halfOpen: Int, incompleteHellos: Int, keyIDs: Int, timers: Int = 0, requests: Int = 0,
    reassemblyBytes: Int = 0, largestReassembly: Int = 0
  ) {
    self.sessions = sessions
    self.halfOpen = halfOpen
    self.incompleteHellos = incompleteHellos
    self.keyIDs = keyIDs
    self.timers = timers
    self.requests = requests
    self.reassemblyBytes = reassemblyBytes
    self.largestReassembly = largestReassembly
  }
}

/// The traffic of an implementation.
package struct SimulatedTraffic {
  package var datagramsSent: UInt64 = 0
  package var datagramsReceived: UInt64 = 0
  package var publicKeyWork: UInt64 = 0
  package var drops: [String: UInt64] = [:]

  package init() {}
}

/// Defaults for an implementation that acts synchronously, without requests and answers.
extension SimulatedEndpoint {
  package func keyMark(_ session: Int) -> KeyMark? { nil }
  package func handshakeMark(_ session: Int) -> HandshakeMark? { nil }
  package func localKeyID(_ session: Int) -> KeyID? { nil }
  package func takeTrace() -> [(node: Int, record: TraceRecord)] { [] }
  package func nextRequest() -> Request? { nil }
  package func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {}
  package func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {}
  package func cancelAccept(_ id: RequestID) -> Bool { false }
  package func complete(_ result: PublicKeyResult, at now: Instant) {}
  package func refuse(_ id: RequestID) {}
}
