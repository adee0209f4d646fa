// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers
import ZSSP
import ZSSPProviders

@testable import ZSSPNIO

/// A driver without a socket, whose inputs come from the test. What it sends is counted as unsent.
struct DriverBench {
  let eventLoop: any EventLoop
  private let driver: NIOLoopBound<Driver>

  /// A driver on one of the default event loops.
  static func make(
    store: any RatchetStore = VolatileRatchetStore(), options: UDPOptions = UDPOptions()
  ) async throws -> DriverBench {
    let eventLoop = UDPEndpoint.defaultEventLoopGroup.next()
    let driver = try await eventLoop.submit {
      try Driver(
        makeConfiguration(), store: store, options: options, mailboxes: EndpointMailboxes(options),
        eventLoop: eventLoop
      ).bound
    }.get()
    return DriverBench(eventLoop: eventLoop, driver: driver)
  }

  /// Does something on the driver's event loop.
  func run<Value: Sendable>(_ body: @escaping @Sendable (Driver) throws -> Value) async throws -> Value {
    try await eventLoop.submit { try body(driver.value) }.get()
  }

  /// Closes the driver.
  func close() async throws { try await run { driver in driver.close() } }
}

/// A store that answers nothing until it is released.
final class HeldStore: RatchetStore {
  private struct State {
    var requests: [StoreRequest] = []
    var isReleased = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = NIOLockedValueBox(State())

  /// The requests in order.
  var requests: [StoreRequest] { state.withLockedValue { $0.requests } }

  /// Lets all requests fail, those that wait and those to come.
  func release() {
    let waiters = state.withLockedValue { state in
      state.isReleased = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func answer(_ request: StoreRequest) async -> StoreAnswer {
    await withCheckedContinuation { continuation in
      let isReleased = state.withLockedValue { state in
        state.requests.append(request)
        if !state.isReleased { state.waiters.append(continuation) }
        return state.isReleased
      }
      if isReleased { continuation.resume() }
    }
    return .failed
  }
}

/// Two endpoints without transport, whose requests are answered at once.
final class PlainHandshake {
  private var initiator: Endpoint
  private var responder: Endpoint
  private var initiatorStore = MemoryRatchetStore()
  private var responderStore = MemoryRatchetStore()
  private var now = Instant(nanoseconds: 0)
  private static let addresses = (Address(ipv4: 1, port: 1), Address(ipv4: 2, port: 2))

  /// The items of public-key work that the handshake and a re-key took, by kind.
  private(set) var work: [PublicKeyWork.Kind: PublicKeyWork] = [:]
  /// The initiator's requests to the store.
  private(set) var storeRequests: [(id: RequestID, request: StoreRequest)] = []
  /// The initiator's session.
  let session: SessionID

  /// Runs a handshake, with a challenge if `isChallenged`, and a re-key.
  init(isChallenged: Bool = false) throws {
    initiator = try Endpoint(makeConfiguration())
    responder = try Endpoint(makeConfiguration(helloPolicy: isChallenged ? .challenge : .allow))
    session = try initiator.open(to: responder.publicKey, at: Self.addresses.1, now: now)
    settle()
    _ = initiator.rekey(session, at: now)
    settle()
  }

  private func settle() {
    var isMoving = true
    while isMoving {
      now = now.advanced(by: .milliseconds(1))
      let answered =
        answer(&initiator, from: &initiatorStore, keeping: true) || answer(&responder, from: &responderStore)
      let carried =
        carry(from: &initiator, to: &responder, source: Self.addresses.0)
        || carry(from: &responder, to: &initiator, source: Self.addresses.1)
      isMoving = answered || carried
    }
  }

  private func answer(
    _ endpoint: inout Endpoint, from store: inout MemoryRatchetStore, keeping isKept: Bool = false
  ) -> Bool {
    var isBusy = false
    while let request = endpoint.nextRequest() {
      isBusy = true
      switch request {
      case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
      case .work(let item):
        work[item.kind] = item
        endpoint.complete(item.run(), at: now)
      case .store(let id, let request):
        if isKept { storeRequests.append((id, request)) }
        endpoint.answer(id, store: store.answer(request), at: now)
      }
    }
    while endpoint.nextEvent() != nil {}
    return isBusy
  }

  private func carry(from: inout Endpoint, to: inout Endpoint, source: Address) -> Bool {
    let datagrams = from.outbox.runs.flatMap { run in
      stride(from: run.range.lowerBound, to: run.range.upperBound, by: max(1, run.segmentSize)).map { start in
        from.outbox.bytes.extracting(start..<min(start + run.segmentSize, run.range.upperBound)).array
      }
    }
    from.outbox.removeAll()
    for datagram in datagrams {
      var bytes = datagram
      bytes.withUnsafeMutableBytes { bytes in
        var span = MutableRawSpan(_unsafeBytes: bytes)
        _ = to.receive(&span, from: source, at: now)
      }
    }
    return !datagrams.isEmpty
  }
}
