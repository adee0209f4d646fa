// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP
import ZSSPNIO

/// Public-key work of several endpoints, which advances in lock-step if the provider can do that.
struct WorkPool {
  private var batch: PublicKeyBatch
  /// Steps after X1, which come first: they end handshakes that are in progress.
  private var later = CircularBuffer<OwnedWork>()
  private var hellos = CircularBuffer<OwnedWork>()

  private typealias OwnedWork = (work: PublicKeyWork, owner: Int)

  init(_ provider: any CryptoProvider) { batch = PublicKeyBatch(provider) }

  mutating func add(_ work: PublicKeyWork, of owner: Int) {
    if work.kind == .hello { hellos.append((work, owner)) } else { later.append((work, owner)) }
  }

  /// Takes items into the batch, and does the next operation of as many of them as possible.
  mutating func advance() -> [PublicKeyBatch.Completed] {
    while let kind = (later.first ?? hellos.first)?.work.kind, batch.admits(kind),
      let (work, owner) = later.popFirst() ?? hellos.popFirst()
    {
      batch.add(work, of: owner)
    }
    return batch.isEmpty ? [] : batch.advance { ThreadClock.now }
  }

  /// True if items are in progress.
  var isBusy: Bool { !batch.isEmpty }
}

/// Peers that have lost their responder at the same moment, and open their sessions again in
/// persistent mode. The driver carries their datagrams.
final class StormPeers {
  /// A peer's endpoint, in an object so that it is not moved.
  private final class Peer {
    var endpoint: Endpoint
    var store: MemoryRatchetStore

    init(_ configuration: EndpointConfiguration, _ state: RatchetState, with responder: PublicKey) throws {
      endpoint = try Endpoint(configuration)
      store = MemoryRatchetStore(pairs: [responder: RatchetPair(state)])
    }

    func emptyOutbox(_ send: (_ bytes: [UInt8], _ segmentSize: Int) -> Void) {
      for run in endpoint.outbox.runs { send(endpoint.outbox.bytes.extracting(run.range).array, run.segmentSize) }
      endpoint.outbox.removeAll()
    }
  }

  /// The largest number of peers: the highest bits of a key id hold the peer's number.
  static let largestCount = 1 << 16

  private let peers: [Peer]
  private var deadlines: [Instant?]
  private var work: WorkPool
  private let responder: PublicKey
  /// The ratchet states that the responder's store must hold.
  let pairs: [PublicKey: RatchetPair]
  /// The times at which sessions were established again, in order.
  private(set) var returns: [Instant] = []
  /// The number of handshakes that were begun anew.
  private(set) var restarts = 0
  /// Called with each datagram run: the peer's number, the bytes, and the size of a datagram.
  private let send: (_ peer: Int, _ bytes: [UInt8], _ segmentSize: Int) -> Void

  init(
    _ count: Int, _ provider: any CryptoProvider, responder: PublicKey,
    send: @escaping (_ peer: Int, _ bytes: [UInt8], _ segmentSize: Int) -> Void
  ) throws {
    var pairs: [PublicKey: RatchetPair] = [:]
    var peers: [Peer] = []
    for number in 0..<count {
      var settings = Settings()
      settings.expandedKeys = 1
      settings.halfOpenLimit = 1
      settings.nodeBits = 16
      settings.node = number
      let key = provider.generateAgreementKey()
      let secrets = provider.random(64)
      let state = RatchetState(
        key: secrets.part(0, of: 32), fingerprint: Fingerprint(secrets.part(1, of: 32).bytes), chainLength: 1)
      pairs[key.publicKey] = RatchetPair(state)
      let configuration = EndpointConfiguration(
        staticKey: key, provider: provider, flags: .persistent, helloPolicy: .drop, settings: settings)
      peers.append(try Peer(configuration, state, with: responder))
    }
    self.peers = peers
    self.pairs = pairs
    self.responder = responder
    self.send = send
    deadlines = Array(repeating: nil, count: count)
    work = WorkPool(provider)
  }

  var count: Int { peers.count }
  /// True when every peer has its session again.
  var areBack: Bool { returns.count == peers.count }

  /// Opens all sessions.
  func begin(to address: Address, at now: Instant) throws {
    for index in peers.indices {
      _ = try peers[index].endpoint.open(to: responder, at: address, now: now)
      pump(index, at: now)
    }
  }

  /// Passes a datagram to the peer that its key id names.
  func receive(_ datagram: inout MutableRawSpan, from address: Address, at now: Instant) {
    guard let keyID = KeyID(addressee: datagram.bytes) else { return }
    let index = Int(keyID.value >> 16)
    guard peers.indices.contains(index) else { return }
    _ = peers[index].endpoint.receive(&datagram, from: address, at: now)
    pump(index, at: now)
  }

  /// Fires timers that are due.
  func fireTimers(at now: Instant) {
    for index in peers.indices {
      guard let deadline = deadlines[index], deadline <= now else { continue }
      peers[index].endpoint.advance(to: now)
      pump(index, at: now)
    }
  }

  /// Does a round of public-key work.
  ///
  /// - Returns: False if there was none.
  func advanceWork(at now: Instant) -> Bool {
    for item in work.advance() {
      peers[item.owner].endpoint.complete(item.result, at: now)
      pump(item.owner, at: now)
    }
    return work.isBusy
  }

  private func pump(_ index: Int, at now: Instant) {
    let peer = peers[index]
    while let request = peer.endpoint.nextRequest() {
      switch request {
      case .store(let id, let request): peer.endpoint.answer(id, store: peer.store.answer(request), at: now)
      case .accept: break
      case .work(let item): work.add(item, of: index)
      }
    }
    while let event = peer.endpoint.nextEvent() {
      switch event {
      case .established: returns.append(now)
      case .restarted: restarts += 1
      default: break
      }
    }
    peer.emptyOutbox { bytes, segmentSize in send(index, bytes, segmentSize) }
    deadlines[index] = peer.endpoint.nextDeadline
  }
}
