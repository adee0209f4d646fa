// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Many sessions at one endpoint: the memory of each, and the effect of their number on a packet's
/// cost.
public enum SessionsBenchmark {
  /// Measures bytes per established idle session, and the cost of packets to random sessions
  /// compared to one session.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    var server = try Crowd(provider, keptKeys: effort.keptKeys)
    try server.add(64)
    let before = ResidentMemory.bytes
    try server.add(effort.sessions - 64)
    var figures: [Figure] = []
    func recordMemory(_ name: String) {
      guard let before, let after = ResidentMemory.bytes else { return }
      let each = Double(after - before) / Double(max(1, effort.sessions - 64))
      figures.append(Figure("sessions", name: name, rounds: [each], unit: "bytes"))
    }
    recordMemory("resident memory per idle session")
    try server.sendToAll()
    recordMemory("the same while each is in use")
    server.rest()
    recordMemory("the same when all are idle again")
    let crowd = KeyCrowd(provider, count: effort.sessions)
    var many = [Double]()
    var one = [Double]()
    var bound = [Double]()
    var rest = [Double]()
    for _ in 0..<effort.rounds {
      one.append(try server.sendCost(among: 1, effort))
      many.append(try server.sendCost(among: effort.sessions, effort))
      let misses = crowd.cost(among: effort.sessions, effort) - crowd.cost(among: 1, effort)
      bound.append(crowd.cost(among: effort.sessions, effort))
      // A disturbance of the machine can make the difference negative.
      rest.append(max(1, (many.last ?? 0) - max(0, misses)))
    }
    figures.append(Figure("sessions", name: "send 64 bytes to one and the same", rounds: one, unit: "ns"))
    figures.append(
      Figure(
        "sessions", name: "send 64 bytes to one of \(effort.sessions) sessions", rounds: many, unit: "ns",
        bound: ("the cipher with as many kept keys", bound)))
    figures.append(
      Figure(
        "sessions", name: "the same without the keys' cache misses", rounds: rest, unit: "ns",
        bound: ("to one and the same", one)))
    return figures
  }

  /// The expanded keys of many sessions, without the sessions. They show the limit that the
  /// machine's memory sets.
  private struct KeyCrowd {
    private let packetKeys: [any PacketKey]
    private let headerKeys: [any HeaderKey]

    init(_ provider: any CryptoProvider, count: Int) {
      packetKeys = (0..<count).map { _ in provider.packetKey(provider.random(32)) }
      headerKeys = (0..<count).map { _ in provider.headerKey(provider.random(32)) }
    }

    /// Returns the nanoseconds to seal 64 bytes and protect a header with a random one of the first
    /// `count` keys, which are prefetched as by an endpoint.
    func cost(among count: Int, _ effort: BenchmarkEffort) -> Double {
      let message = [UInt8](repeating: 7, count: 64)
      var output = [UInt8](repeating: 0, count: 96)
      // More than are cached, if there are more.
      let targets = (0..<max(4096, count)).map { _ in Int.random(in: 0..<count) }
      return effort.nanoseconds(per: targets.count) {
        output.withUnsafeMutableBytes { output in
          for (counter, target) in targets.enumerated() {
            if counter % Endpoint.prefetchLimit == 0 {
              for next in targets[counter..<min(counter + Endpoint.prefetchLimit, targets.count)] {
                packetKeys[next].prefetch()
                headerKeys[next].prefetch()
              }
            }
            var body = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: output[16..<96]))
            packetKeys[target].seal(
              message.span.bytes, nonce: Nonce(type: 8, counter: UInt64(counter)), authenticating: RawSpan(),
              into: &body)
            var block = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: output[4..<20]))
            headerKeys[target].encrypt(&block)
          }
        }
      }
    }
  }

  /// An endpoint and its many peers.
  private struct Crowd: ~Copyable {
    private let provider: any CryptoProvider
    private var server: Endpoint
    private var sessions: [SessionID] = []
    private var random = SystemRandomNumberGenerator()
    private var now = Instant(nanoseconds: 1_000_000_000)
    private static let serverAddress = Address(ipv4: 0x0A00_0001, port: 1)

    init(_ provider: any CryptoProvider, keptKeys: Int?) throws {
      self.provider = provider
      server = try Self.endpoint(provider, keptKeys: keptKeys)
    }

    private static func endpoint(_ provider: some CryptoProvider, keptKeys: Int? = 4) throws -> Endpoint {
      var settings = Settings()
      settings.expandedKeys = keptKeys
      return try Endpoint(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow,
          settings: settings))
    }

    /// Adds sessions with peers that are discarded afterwards. Ratchets are not kept, because they
    /// belong to the store.
    mutating func add(_ count: Int) throws {
      for number in 0..<max(0, count) {
        var client = try Self.endpoint(provider)
        let address = Address(ipv4: 0x0B00_0000 + UInt32(truncatingIfNeeded: number), port: 2)
        _ = try client.open(to: server.publicKey, at: Self.serverAddress, now: now)
        for _ in 0..<4 {
          Self.pump(&client, at: now)
          Self.transfer(from: &client, to: &server, source: address, at: now)
          pumpServer()
          Self.transfer(from: &server, to: &client, source: Self.serverAddress, at: now)
        }
      }
      guard server.sessionCount == sessions.count else {
        throw EndpointLink.Broken(description: "\(server.sessionCount) sessions of \(sessions.count)")
      }
    }

    private mutating func pumpServer() {
      Self.pump(&server, at: now)
      while let event = server.nextEvent() {
        if case .established(let id, _) = event { sessions.append(id) }
      }
    }

    private static func pump(_ endpoint: inout Endpoint, at now: Instant) {
      while let request = endpoint.nextRequest() {
        switch request {
        case .store(let id, .lookUp): endpoint.answer(id, store: .unknown, at: now)
        case .store(let id, .load), .store(let id, .revoke): endpoint.answer(id, store: .pair(.empty), at: now)
        case .store(let id, .compareAndSwap): endpoint.answer(id, store: .swapped, at: now)
        case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
        case .work(let work): endpoint.complete(work.run(), at: now)
        }
      }
    }

    private static func transfer(
      from sender: inout Endpoint, to receiver: inout Endpoint, source: Address, at now: Instant
    ) {
      for index in sender.outbox.runs.indices {
        let run = sender.outbox.runs[index]
        var bytes = sender.outbox.bytes.extracting(run.range).withUnsafeBytes { Array($0) }
        bytes.withUnsafeMutableBytes { buffer in
          var burst = MutableRawSpan(_unsafeBytes: buffer)
          receiver.receive(burst: &burst, segmentSize: run.segmentSize, from: source, at: now)
        }
      }
      sender.outbox.removeAll()
    }

    /// Advances the time until no session keeps expanded keys.
    mutating func rest() {
      now = now.advanced(by: Settings().expandedKeyTimeout * 3)
      while let deadline = server.nextDeadline, deadline <= now { server.advance(to: deadline) }
    }

    /// Sends a message on each session.
    mutating func sendToAll() throws {
      let message = [UInt8](repeating: 7, count: 64)
      for session in sessions {
        try server.send(message.span.bytes, on: session, at: now)
        server.outbox.removeAll()
      }
    }

    /// Returns the nanoseconds for one packet of 64 bytes to a random one of the first `count`
    /// sessions.
    mutating func sendCost(among count: Int, _ effort: BenchmarkEffort) throws -> Double {
      let message = [UInt8](repeating: 7, count: 64)
      let targets = (0..<max(4096, count)).map { _ in sessions[Int.random(in: 0..<count, using: &random)] }
      return try effort.nanoseconds(per: targets.count) {
        for (index, target) in targets.enumerated() {
          if index % Endpoint.prefetchLimit == 0 {
            server.prefetch(targets.span.extracting(index..<min(index + Endpoint.prefetchLimit, targets.count)))
          }
          try server.send(message.span.bytes, on: target, at: now)
          if index & 63 == 63 { server.outbox.removeAll() }
        }
      }
    }
  }
}
