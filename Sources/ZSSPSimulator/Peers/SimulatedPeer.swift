// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// One endpoint with its clock, its store, and what its application knows.
final class SimulatedPeer {
  /// A session as the application knows it.
  struct Known {
    /// The endpoint's number for it.
    let id: Int
    /// The other peer's index; nil for someone who is no peer.
    let other: Int?
    var state: String
    /// On this peer's clock.
    var since: Instant
    /// `established` was reported, and the state since is one to send in.
    var isEstablished = false
    /// When it got its key, in true time.
    var establishedAt: Instant?
    /// When the store took what this session is based on.
    var swappedAt: Instant?
    /// What tells it from others, once it has its key.
    var mark: HandshakeMark?
    /// The same for its current key, in S2.
    var keyMark: KeyMark?
  }

  let index: Int
  let flags: SecurityFlags
  let configuration: EndpointConfiguration
  var endpoint: any SimulatedEndpoint
  var store = SimulatedStore()
  var clock: SimulatedClock
  /// Counts crashes: what was asked by an earlier incarnation is not answered.
  var incarnation = 0
  var isUp = true
  /// What incarnations before this one asked of the store, and the store has not done, it will not do.
  var forgottenWrites = 0
  /// Where the peer is now.
  var address: Address
  /// The other peers that this one talks to.
  var neighbours: [Int] = []
  var known: [Known] = []
  /// When what was asked about a peer last takes effect: what is asked later may not overtake it.
  var lastEffects: [Instant]
  /// The true time of the wake that is on the agenda.
  var wake = Instant.distantFuture
  /// How many downgrades had been reported in the simulation when the store was made to go back while the endpoint
  /// waited for it: the endpoint owes one more.
  var downgradesBefore: UInt64?
  /// Sessions that were replaced in this step.
  var replaced: [Known] = []
  /// When the peer moved last, in true time.
  var movedAt = Instant(nanoseconds: .min)
  /// When the store last took a swap about each peer, and when it was last asked for one.
  var lastSwaps: [Instant]
  var lastSwapRequests: [Instant]
  /// What the application has accepted and may cancel: whom, and when.
  var acceptances: [RequestID: (other: Int, at: Instant)] = [:]
  /// What it has cancelled, and whether it did so before anything was asked of the store.
  var cancelled: [RequestID: Bool] = [:]
  /// Attackers from whom this peer has got what might have been a peer's.
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
    (lastSwaps, lastSwapRequests) = (lastEffects, lastEffects)
  }

  /// Peers live in 10.0.0.0/8.
  static func home(_ index: Int, port: UInt16) -> Address {
    Address(ipv4: 0x0A00_0001 + UInt32(index), port: port)
  }

  var publicKey: PublicKey { configuration.staticKey.publicKey }

  func sessions(with other: Int) -> [Known] { known.filter { $0.other == other } }

  /// A session to send on, if there is one.
  func established(with other: Int) -> Int? {
    known.last { $0.other == other && $0.isEstablished }?.id
  }

  func forget(_ id: Int) { known.removeAll { $0.id == id } }
}
