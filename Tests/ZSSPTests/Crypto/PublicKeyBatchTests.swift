// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Public-key work in lock-step", .tags(.fast))
struct PublicKeyBatchTests {
  @Test("handshakes and re-keys of many peers are established", arguments: providers)
  func crowd(_ provider: any CryptoProvider) throws {
    let crowd = try Crowd(of: 12, provider)
    crowd.connect()
    #expect(crowd.established == 12)
    crowd.rekey()
    #expect(crowd.chainLengths == .init(repeating: 2, count: 12))
  }

  @Test("operations of the same kind are done together, and a single one is left to the provider")
  func sizes() throws {
    let provider = GatheringProvider(base: FastCrypto(seed: 1))
    let crowd = try Crowd(of: 12, provider)
    crowd.connect()
    #expect(crowd.established == 12)
    let sizes = provider.engine.sizes
    #expect(sizes.allSatisfy { (2...8).contains($0) } && sizes.contains(8), "\(sizes)")
    // Two keys, six agreements and three decoded points for each handshake.
    let alone = 12 * 11 - sizes.reduce(0, +)
    #expect((0...12).contains(alone), "\(alone) alone")

    let lone = GatheringProvider(base: FastCrypto(seed: 2))
    let pair = try Crowd(of: 1, lone)
    pair.connect()
    #expect(pair.established == 1 && lone.engine.sizes.isEmpty)
  }

  @Test("a key that is no point fails its own handshake only")
  func refused() throws {
    let provider = GatheringProvider(base: FastCrypto(seed: 4))
    let crowd = try Crowd(of: 8, provider)
    // X1 begins with a key id; the point follows.
    crowd.tamper = { sender, datagram in
      if sender == 3, datagram.count > 100 { for index in 21..<69 { datagram[index] = 0 } }
    }
    crowd.connect()
    #expect(crowd.established == 7)
  }

  @Test("proof of work and other items without an operation complete at once")
  func withoutOperations() throws {
    let provider = GatheringProvider(base: FastCrypto(seed: 5))
    var batch = PublicKeyBatch(provider)
    #expect(batch.isEmpty && batch.admits(.proofOfWork))
    let id = RequestID(value: 9)
    batch.add(PublicKeyWork(id: id, kind: .proofOfWork, provider: provider) { .solved }, of: 5)
    #expect(!batch.isEmpty && !batch.admits(.proofOfWork) && batch.admits(.hello))
    var time = Duration.zero
    let completed = batch.advance {
      time += .milliseconds(1)
      return time
    }
    #expect(batch.isEmpty && completed.map(\.owner) == [5] && completed.map(\.kind) == [.proofOfWork])
    #expect(completed.first?.time == .milliseconds(1) && completed.first?.result.id == id)
    #expect(batch.advance { .zero }.isEmpty)
  }
}

@Suite("The order of public-key work in a batch", .tags(.fast))
struct PublicKeyBatchOrderTests {
  private let provider = GatheringProvider(base: FastCrypto(seed: 6))

  /// Returns an item that makes `keys` keys, one after the other.
  private func work(
    _ kind: PublicKeyWork.Kind, keys: Int, begun: Counter? = nil
  ) -> PublicKeyWork {
    PublicKeyWork(id: RequestID(value: 1), kind: kind, provider: provider) {
      begun?.add()
      return .generating(keys)
    }
  }

  /// Returns an item that decodes a key.
  private func decoding(_ kind: PublicKeyWork.Kind) -> PublicKeyWork {
    let key = provider.generateAgreementKey().publicKey
    return PublicKeyWork(id: RequestID(value: 2), kind: kind, provider: provider) {
      .decode(key) { _ in .solved }
    }
  }

  private func advance(_ batch: inout PublicKeyBatch) -> [Int] {
    batch.advance { .zero }.map(\.owner)
  }

  @Test("proof of work stops no other item")
  func proofOfWork() {
    var batch = PublicKeyBatch(provider)
    for owner in 0..<8 { batch.add(work(.hello, keys: 2), of: owner) }
    #expect(advance(&batch).isEmpty)
    batch.add(PublicKeyWork(id: RequestID(value: 3), kind: .proofOfWork, provider: provider) { .solved }, of: 8)
    #expect(advance(&batch).sorted() == Array(0...8))
    #expect(provider.engine.sizes == [8, 8])
  }

  @Test("own handshakes and known peers overtake strangers")
  func ranks() {
    var batch = PublicKeyBatch(provider)
    for owner in 0..<16 { batch.add(work(.helloReceived, keys: 3), of: owner) }
    #expect(advance(&batch).isEmpty)
    // Eight strangers' items have waited longer for the same operation.
    batch.add(work(.completionReceived, keys: 1), of: 90)
    #expect(advance(&batch) == [90])
    // Sixteen wait for another operation.
    batch.add(decoding(.responseReceived), of: 91)
    batch.add(decoding(.rekeyReceived), of: 92)
    #expect(advance(&batch) == [91, 92])
    #expect(provider.engine.sizes == [8, 8, 2])
  }

  @Test("of one rank, the operation with the most lanes in use is next")
  func lanes() {
    var batch = PublicKeyBatch(provider)
    batch.add(decoding(.hello), of: 0)
    for owner in 1...3 { batch.add(work(.hello, keys: 1), of: owner) }
    #expect(advance(&batch) == [1, 2, 3])
    #expect(advance(&batch) == [0])
  }

  @Test("every eighth operation is the one that was waited for longest")
  func age() {
    var batch = PublicKeyBatch(provider)
    batch.add(decoding(.helloReceived), of: 99)
    var rounds: [[Int]] = []
    for round in 0..<8 {
      for owner in 0..<2 { batch.add(work(.hello, keys: 1), of: 2 * round + owner) }
      rounds.append(advance(&batch))
    }
    #expect(rounds.prefix(7).allSatisfy { $0.count == 2 && !$0.contains(99) })
    #expect(rounds[7] == [99])
  }

  @Test("strangers leave room for better work")
  func room() {
    var batch = PublicKeyBatch(provider)
    var strangers = 0
    while batch.admits(.helloReceived) {
      batch.add(work(.helloReceived, keys: 1))
      strangers += 1
    }
    #expect(strangers == 24 && !batch.admits(.response) && batch.admits(.rekey) && batch.admits(.hello))
    var others = 0
    while batch.admits(.rekeyReceived) {
      batch.add(work(.rekeyReceived, keys: 1))
      others += 1
    }
    #expect(others == 4 && batch.admits(.hello))
    while batch.admits(.hello) {
      batch.add(work(.hello, keys: 1))
      others += 1
    }
    #expect(others == 8)
  }

  @Test("work that nobody waits for any more is neither begun nor continued", arguments: [true, false])
  func abandoned(isTogether: Bool) throws {
    let begun = Counter()
    let items = (0..<3).map { _ in work(.hello, keys: 2, begun: begun) }
    var batch = PublicKeyBatch(isTogether ? provider : provider.base)
    guard isTogether else {
      items[0].interest.end()
      batch.add(items[0], of: 0)
      let ended = batch.advance { .zero }
      #expect(ended.count == 1 && begun.value == 0)
      return
    }
    for (owner, item) in items.enumerated() { batch.add(item, of: owner) }
    items[0].interest.end()
    #expect(advance(&batch) == [0] && begun.value == 2)
    items[1].interest.end()
    let ended = batch.advance { .zero }
    #expect(ended.map(\.owner) == [1, 2] && batch.isEmpty)
    let hasFailed = ended.map { if case .failed = $0.result.outcome { true } else { false } }
    #expect(hasFailed == [true, false])
    #expect(provider.engine.sizes == [2])
  }

  @Test("the work of a closed session, or of an attempt that has begun anew, is not awaited")
  func interest() throws {
    var endpoint = try Endpoint(
      EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow))
    let start = Instant.milliseconds(1_000)
    var store = MemoryRatchetStore()
    func nextWork() -> PublicKeyWork? {
      while let request = endpoint.nextRequest() {
        switch request {
        case .store(let id, let request): endpoint.answer(id, store: store.answer(request), at: start)
        case .work(let work): return work
        case .accept: break
        }
      }
      return nil
    }
    let peer = provider.generateAgreementKey().publicKey
    let session = try endpoint.open(to: peer, at: Address(ipv4: 1, port: 1), now: start)
    let work = try #require(nextWork())
    #expect(work.isAwaited)
    endpoint.close(session)
    #expect(!work.isAwaited)
    guard case .failed = work.run().outcome else {
      Issue.record("work that is not awaited was done")
      return
    }
    let before = try endpoint.open(to: peer, at: Address(ipv4: 1, port: 1), now: start)
    let answered = try #require(nextWork())
    endpoint.complete(answered.run(), at: start)
    #expect(answered.isAwaited && endpoint.session(before) != nil)
  }
}

extension Computation<PublicKeyResult.Outcome> {
  fileprivate static var solved: Self { .done(.proofOfWork(.unchallenged(proof: 1))) }

  /// Makes keys, one after the other.
  fileprivate static func generating(_ keys: Int) -> Self {
    keys == 0 ? .solved : .generate { _ in .generating(keys - 1) }
  }
}

/// A count that work on any thread adds to.
private final class Counter: Sendable {
  private let count = Mutex(0)

  var value: Int { count.withLock { $0 } }

  func add() { count.withLock { $0 += 1 } }
}

/// A provider whose batches are done one by one, and counted.
struct GatheringProvider: BatchingProvider, DerivedProvider {
  let base: any CryptoProvider
  let engine: Engine

  init(base: any CryptoProvider) {
    self.base = base
    engine = Engine(base)
  }

  var agreementBatches: (any AgreementBatches)? { engine }

  final class Engine: AgreementBatches {
    let size = 8
    private let base: any CryptoProvider
    private let counted = Mutex<[Int]>([])

    init(_ base: any CryptoProvider) { self.base = base }

    /// The number of operations of each call.
    var sizes: [Int] { counted.withLock { $0 } }

    private func count(_ size: Int) { counted.withLock { $0.append(size) } }

    func generate(_ count: Int) -> [any AgreementPrivateKey] {
      self.count(count)
      return (0..<count).map { _ in base.generateAgreementKey() }
    }

    func decode(_ keys: [PublicKey]) -> [(any AgreementPublicKey)?] {
      count(keys.count)
      return keys.map { try? base.agreementPublicKey($0) }
    }

    func agree(_ pairs: [(own: any AgreementPrivateKey, peer: any AgreementPublicKey)]) -> [Secret?] {
      count(pairs.count)
      return pairs.map { try? $0.own.sharedSecret(with: $0.peer) }
    }
  }
}

/// Initiators and one responder on a perfect network, whose public-key work advances in one batch.
private final class Crowd {
  private final class Member {
    var endpoint: Endpoint
    var store = MemoryRatchetStore()

    init(_ configuration: EndpointConfiguration) throws { endpoint = try Endpoint(configuration) }

    /// The datagrams that the endpoint has to send.
    func takeOutbox() -> [(to: Address, bytes: [UInt8])] {
      var datagrams: [(to: Address, bytes: [UInt8])] = []
      for run in endpoint.outbox.runs {
        for start in stride(from: run.range.lowerBound, to: run.range.upperBound, by: max(1, run.segmentSize)) {
          let end = min(start + run.segmentSize, run.range.upperBound)
          datagrams.append((run.address, endpoint.outbox.bytes.extracting(start..<end).array))
        }
      }
      endpoint.outbox.removeAll()
      return datagrams
    }
  }

  /// The responder comes first.
  private var members: [Member] = []
  private var batch: PublicKeyBatch
  private var waiting: [(work: PublicKeyWork, owner: Int)] = []
  private var sessions: [Int: SessionID] = [:]
  private let now = Instant.milliseconds(1_000)
  /// Changes datagrams on their way.
  var tamper: (_ sender: Int, _ datagram: inout [UInt8]) -> Void = { _, _ in }

  init(of count: Int, _ provider: any CryptoProvider) throws {
    batch = PublicKeyBatch(provider)
    for _ in 0...count {
      let configuration = EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow)
      members.append(try Member(configuration))
    }
  }

  /// The number of initiators with a session.
  var established: Int { sessions.count }

  var chainLengths: [UInt64] {
    sessions.sorted { $0.key < $1.key }.map { owner, session in
      members[owner].endpoint.session(session)?.chainLength ?? 0
    }
  }

  func connect() {
    let responder = members[0].endpoint.publicKey
    for index in 1..<members.count {
      do {
        _ = try members[index].endpoint.open(to: responder, at: Self.address(0), now: now)
      } catch {
        Issue.record("\(error)")
      }
    }
    settle()
  }

  func rekey() {
    for (owner, session) in sessions { _ = members[owner].endpoint.rekey(session, at: now) }
    settle()
  }

  private static func address(_ index: Int) -> Address { Address(ipv4: UInt32(index + 1), port: 1) }

  private func settle() {
    var isMoving = true
    while isMoving {
      isMoving = false
      for index in members.indices { isMoving = answer(index) || isMoving }
      while let first = waiting.first, batch.admits(first.work.kind) {
        let (work, owner) = waiting.removeFirst()
        batch.add(work, of: owner)
      }
      if !batch.isEmpty {
        isMoving = true
        for item in batch.advance(measuring: { .zero }) { members[item.owner].endpoint.complete(item.result, at: now) }
      }
      for index in members.indices { isMoving = send(from: index) || isMoving }
    }
  }

  private func answer(_ index: Int) -> Bool {
    var isBusy = false
    while let request = members[index].endpoint.nextRequest() {
      isBusy = true
      switch request {
      case .accept(let id, _): members[index].endpoint.answer(id, accept: .accept(.opportunistic), at: now)
      case .store(let id, let request):
        members[index].endpoint.answer(id, store: members[index].store.answer(request), at: now)
      case .work(let work): waiting.append((work, index))
      }
    }
    while let event = members[index].endpoint.nextEvent() {
      if index > 0, case .established(let session, _) = event { sessions[index] = session }
    }
    return isBusy
  }

  private func send(from sender: Int) -> Bool {
    let datagrams = members[sender].takeOutbox()
    for (address, bytes) in datagrams {
      guard let receiver = members.indices.first(where: { Self.address($0) == address }) else { continue }
      var bytes = bytes
      tamper(sender, &bytes)
      bytes.withMutableBytes { _ = members[receiver].endpoint.receive(&$0, from: Self.address(sender), at: now) }
    }
    return !datagrams.isEmpty
  }
}
