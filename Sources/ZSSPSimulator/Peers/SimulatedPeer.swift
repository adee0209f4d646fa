// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// An endpoint with its clock, its store, and its application's knowledge.
final class SimulatedPeer {
  /// A session as the application knows it.
  struct Known {
    /// The endpoint's number for the session.
    let id: Int
    /// The index of the other peer; nil for a stranger.
    let other: Int?
    var state: String
    /// The time of the last change of its state, by this peer's clock.
    var since: Instant
    /// True if `established` was reported, and the current state can send.
    var isEstablished = false
    /// The true time when it got its key.
    var establishedAt: Instant?
    /// The time when the store took the state that this session is based on.
    var swappedAt: Instant?
    /// The identity of the session, once it has its key.
    var mark: HandshakeMark?
    /// The identity of its current key, in S2.
    var keyMark: KeyMark?
  }

  let index: Int
  let flags: SecurityFlags
  let configuration: EndpointConfiguration
  var endpoint: any SimulatedEndpoint
  var store = SimulatedStore()
  var clock: SimulatedClock
  /// The number of crashes. Requests of an earlier incarnation are not answered.
  var incarnation = 0
  var isUp = true
  /// The store will not execute pending requests of incarnations before this one.
  var forgottenWrites = 0
  /// The current address.
  var address: Address
  /// The other peers that this one has sessions with.
  var neighbours: [Int] = []
  var known: [Known] = []
  /// The time when the last request about each peer takes effect. Later requests must not overtake
  /// it.
  var lastEffects: [Instant]
  /// The true time of the scheduled wake-up.
  var wake = Instant.distantFuture
  /// The number of downgrades reported in the simulation before the store went back, while the
  /// endpoint waited for it: the endpoint must report one more.
  var downgradesBefore: UInt64?
  /// Sessions that were replaced in this step.
  var replaced: [Known] = []
  /// The true time of the last move.
  var movedAt = Instant(nanoseconds: .min)
  /// The times when the store last took a swap about each peer, and was last asked for one.
  var lastSwaps: [Instant]
  var lastSwapRequests: [Instant]
  /// The acceptances that the application may cancel, with the peer and the time.
  var acceptances: [RequestID: (other: Int, at: Instant)] = [:]
  /// The cancelled acceptances; true if nothing had been asked of the store before.
  var cancelled: [RequestID: Bool] = [:]
  /// Attackers from whom this peer has received packets that may be a peer's.
  var repeaters: Set<Address> = []

  init(
    index: Int, configuration: EndpointConfiguration, endpoint: any SimulatedEndpoint, clock: SimulatedClock, peers: Int
  ) {
    self.index = index
    self.flags = configuration.flags
    self.configuration = configuration
    self.clock = clock
    self.endpoint = endpoint
    address = Self.home(index, port: 1000)
    lastEffects = Array(repeating: Instant(nanoseconds: .min), count: peers)
    lastSwaps = lastEffects
    lastSwapRequests = lastEffects
  }

  /// Returns an address in 10.0.0.0/8, where the peers are.
  static func home(_ index: Int, port: UInt16) -> Address {
    Address(ipv4: 0x0A00_0001 + UInt32(index), port: port)
  }

  var publicKey: PublicKey { configuration.staticKey.publicKey }

  func sessions(with other: Int) -> [Known] { known.filter { $0.other == other } }

  /// Returns a session that can send; nil if none.
  func established(with other: Int) -> Int? {
    known.last { $0.other == other && $0.isEstablished }?.id
  }

  func forget(_ id: Int) { known.removeAll { $0.id == id } }
}
