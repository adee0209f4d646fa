// SPDX-License-Identifier: Apache-2.0
#if KeyLog
  import Synchronization
  import Testing
  import ZSSP
  import ZSSPSwiftCrypto
  import ZSSPTestSupport

  @testable import ZSSPCapture

  /// Two endpoints, whose datagrams are captured and whose keys are logged.
  private struct CapturedPair: ~Copyable {
    private final class Lines: Sendable {
      let lines = Mutex<[String]>([])
    }

    private var client: Endpoint
    private var server: Endpoint
    private var clientStore = MemoryRatchetStore()
    private var serverStore = MemoryRatchetStore()
    private let logged: (Lines, Lines)
    private var now = Instant.milliseconds(0)
    private(set) var clientSession: SessionID?
    private(set) var serverSession: SessionID?
    private(set) var script = Script()
    /// False to have the server refuse.
    var accepts = true

    init(profile: Profile = .kyber1024) throws {
      let provider = SwiftCryptoProvider()
      let logged = (Lines(), Lines())
      self.logged = logged
      func configuration(_ lines: Lines) -> EndpointConfiguration {
        var configuration = EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, profile: profile)
        configuration.keyLog = KeyLog { line in lines.lines.withLock { $0.append(line) } }
        return configuration
      }
      // Both exist before any of them is stored: an error must not leave one half of the pair.
      let client = try Endpoint(configuration(logged.0))
      let server = try Endpoint(configuration(logged.1))
      self.client = client
      self.server = server
    }

    var clientLines: [String] { logged.0.lines.withLock { $0 } }
    var serverLines: [String] { logged.1.lines.withLock { $0 } }
    var clientKey: PublicKey { client.publicKey }

    mutating func open(identity: String) throws {
      clientSession = try client.open(
        to: server.publicKey, at: Packets.server, identity: Array(identity.utf8), now: now)
      pump()
    }

    mutating func send(_ message: [UInt8], fromClient: Bool) throws {
      if fromClient {
        try client.send(message.rawBytes, on: #require(clientSession), at: now)
      } else {
        try server.send(message.rawBytes, on: #require(serverSession), at: now)
      }
      pump()
    }

    mutating func rekey() throws {
      let session = try #require(clientSession)
      let begins = client.rekey(session, at: now)
      #expect(begins)
      pump()
    }

    mutating func close() throws {
      client.close(try #require(clientSession))
      pump()
    }

    /// Delivers everything until nothing happens any more.
    private mutating func pump() {
      var isBusy = true
      while isBusy {
        isBusy = false
        now = now.advanced(by: .milliseconds(1))
        isBusy = Self.answer(&client, &clientStore, accepts: true, at: now) || isBusy
        isBusy = Self.answer(&server, &serverStore, accepts: accepts, at: now) || isBusy
        for (datagram, runs) in [(true, Self.drain(&client)), (false, Self.drain(&server))] {
          for run in runs {
            isBusy = true
            // As a kernel hands it on: all datagrams of a run in one.
            script.send(
              run.joined().map(\.self), from: datagram ? Packets.client : Packets.server,
              to: datagram ? Packets.server : Packets.client)
            for var bytes in run {
              if datagram {
                Self.receive(&server, &bytes, from: Packets.client, at: now)
              } else {
                Self.receive(&client, &bytes, from: Packets.server, at: now)
              }
            }
          }
        }
        while let event = server.nextEvent() {
          if case .established(let id, _) = event { serverSession = id }
        }
        while client.nextEvent() != nil {}
      }
    }

    private static func receive(
      _ endpoint: inout Endpoint, _ bytes: inout [UInt8], from source: Address, at now: Instant
    ) {
      bytes.withMutableBytes { _ = endpoint.receive(&$0, from: source, at: now) }
    }

    private static func drain(_ endpoint: inout Endpoint) -> [[[UInt8]]] {
      let bytes = endpoint.outbox.bytes.array
      let runs = endpoint.outbox.runs.map { run in
        stride(from: run.range.lowerBound, to: run.range.upperBound, by: run.segmentSize).map { start in
          Array(bytes[start..<min(start + run.segmentSize, run.range.upperBound)])
        }
      }
      endpoint.outbox.removeAll()
      return runs
    }

    private static func answer(
      _ endpoint: inout Endpoint, _ store: inout MemoryRatchetStore, accepts: Bool, at now: Instant
    ) -> Bool {
      var found = false
      while let request = endpoint.nextRequest() {
        found = true
        switch request {
        case .store(let id, let question): endpoint.answer(id, store: store.answer(question), at: now)
        case .work(let work): endpoint.complete(work.run(), at: now)
        case .accept(let id, _):
          endpoint.answer(id, accept: accepts ? .accept(.opportunistic) : .reject(silently: false), at: now)
        }
      }
      return found
    }
  }

  @Suite(.tags(.fast)) struct KeyLogTests {
    private func ring(_ lines: [String]) throws -> KeyRing {
      let ring = KeyRing(provider: SwiftCryptoProvider())
      for line in lines { try ring.add(line: line[...]) }
      return ring
    }

    /// An IPv4 packet of some size.
    private func inner(_ size: Int) -> [UInt8] {
      [0x45, 0, UInt8(size >> 8), UInt8(size & 255)] + [UInt8](repeating: 7, count: size - 4)
    }

    private func session(
      profile: Profile
    ) throws -> (script: Script, client: [String], server: [String], key: PublicKey) {
      var pair = try CapturedPair(profile: profile)
      try pair.open(identity: "a client")
      try pair.send(Array("hello".utf8), fromClient: true)
      try pair.send(inner(4000), fromClient: false)
      try pair.rekey()
      try pair.send(inner(60), fromClient: true)
      try pair.send(Array("bye".utf8), fromClient: false)
      try pair.close()
      return (pair.script, pair.clientLines, pair.serverLines, pair.clientKey)
    }

    @Test("the log of either side opens everything", arguments: Profile.allCases, [true, false])
    func everything(profile: Profile, isClient: Bool) throws {
      let session = try session(profile: profile)
      let lines = isClient ? session.client : session.server
      let kinds = lines.map { $0.split(separator: " ").prefix(3).joined(separator: " ") }
      // The client began the re-key, too.
      let expected = ["HELLO", "RESPONSE", "COMPLETION", "SESSION", "SESSION"].map { kind in
        "ZSSP1 \(kind) \(isClient ? "initiator" : "responder")"
      }
      #expect(kinds == expected)
      var options = DecoderOptions()
      options.collectsFields = true
      let found = try session.script.decode(options, keys: ring(lines))
      #expect(found.troubles.map(\.kind) == [.rejected])
      let types = found.recorder.events.compactMap(\.header?.type)
      #expect(types.count == found.recorder.events.count)
      #expect(Set(types) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
      #expect(!found.recorder.events.contains { [.notAuthentic, .noKey, .replay].contains($0.content) })
      #expect(found.recorder.messages == [Array("hello".utf8), inner(4000), inner(60), Array("bye".utf8)])
      let fields = Dictionary(
        found.recorder.events.flatMap(\.fields).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
      #expect(fields["identity"] == .bytes(Array("a client".utf8)))
      #expect(fields["initiator_static_key"] == .bytes(session.key.array))
      #expect(fields["ratchet_fingerprint_1"] == .bytes([UInt8](repeating: 0, count: 32)))
      let responders = found.recorder.events.compactMap { event -> KeyID? in
        if case .response(let keyID) = event.content { keyID } else { nil }
      }
      let completion = found.recorder.events.first { $0.header?.type == PacketType.completion.rawValue }
      #expect(responders == [completion?.keyID])
    }

    @Test("inner packets of a tunnel are written as a capture")
    func innerPackets() throws {
      let session = try session(profile: .kyber1024)
      let sink = MemorySink()
      let output = InnerPackets(sink, then: Recorder())
      var decoder = Decoder(DecoderOptions(), keys: try ring(session.client), output: output)
      try decoder.run(MemorySource(session.script.capture))
      try output.summarize(decoder)
      #expect(output.count == 2)
      var reader = CaptureReader(MemorySource(sink.bytes))
      var packets: [[UInt8]] = []
      var times: [Int64] = []
      while let frame = try reader.next() {
        #expect(frame.link == 101)
        packets.append(reader.bytes.array)
        times.append(frame.time)
      }
      #expect(packets == [inner(4000), inner(60)])
      #expect(times.allSatisfy { $0 >= 1_700_000_000_000_000_000 })
    }

    @Test("a refusal is read, and a log of it has no more than the handshake")
    func refusal() throws {
      var pair = try CapturedPair()
      pair.accepts = false
      try pair.open(identity: "")
      let text = try pair.script.text(keys: ring(pair.serverLines))
      #expect(text.contains("D Rejected"))
      #expect(text.contains("the responder refuses the initiator (D)"))
    }

    @Test("without a log nothing is written")
    func none() throws {
      let session = try session(profile: .kyber1024)
      let found = try session.script.decode()
      #expect(found.recorder.messages.isEmpty)
      #expect(found.recorder.events.contains { $0.kind == .protected })
      #expect(!found.recorder.events.contains { $0.kind == .opened })
    }
  }
#endif
