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
    #expect(batch.isEmpty && batch.room == 32)
    let solved = ChallengeResponse.unchallenged(proof: 1)
    let id = RequestID(value: 9)
    batch.add(PublicKeyWork(id: id, kind: .proofOfWork, provider: provider) { .done(.proofOfWork(solved)) }, of: 5)
    #expect(!batch.isEmpty && batch.room == 31)
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

    /// How many operations each call had.
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

    /// What the endpoint has to send.
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
      while batch.room > 0, !waiting.isEmpty {
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
