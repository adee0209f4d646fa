// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPNIO

  @testable import ZSSPTunnel

  /// Many peers that are away, in the test's time: what is spent on them is the public-key work of
  /// attempts, so these are counted.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct OfflinePeerTests {
    private static let peers = 300
    private static let minutes = 20

    /// The work of a minute.
    private struct Minute: Sendable {
      var attempts = 0
      var lines = 0
    }

    /// The test's time.
    private final class Time {
      var seconds: Int64 = 1
    }

    /// Runs a loop whose peers have a keepalive and never answer.
    private static func run() async throws -> [Minute] {
      let eventLoop = EpollEventLoopGroup.singleton.next()
      let failure = DialFailure(
        .timeout(.noAnswer), at: "192.0.2.1:20763",
        knowledge: DialFailure.Knowledge(insists: false, holdsRatchet: false))
      return try await eventLoop.submit {
        var pair: [CInt] = [0, 0]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
        close(pair[1])
        let time = Time()
        let device = TunDevice(descriptor: pair[0], name: "test0", segmentsTCP: false, segmentsUDP: false)
        let loop = TunnelLoop(
          device, mtu: 1400, on: eventLoop, drops: DropCounters(), wanted: AsyncStream<Int>.makeStream().continuation,
          clock: { Instant(nanoseconds: time.seconds * 1_000_000_000) })
        let peers = try (0..<Self.peers).map { number in
          // Nobody looks at the keys.
          let key = [2, UInt8(number / 256), UInt8(number % 256)] + [UInt8](repeating: 0, count: PublicKey.size - 3)
          var peer = PeerConfiguration(publicKey: try #require(PublicKey(key)))
          peer.endpoints = [try PeerEndpoint("192.0.2.1:20763")]
          peer.keepalive = .seconds(25)
          return peer
        }
        loop.adopt(PeerTable(peers))
        try #require(loop.peers.count == Self.peers)
        var ends: [Int: Instant] = [:]
        var passed: [Minute] = []
        for _ in 0..<Self.minutes {
          var minute = Minute()
          for _ in 0..<60 {
            time.seconds += 1
            let now = loop.clock()
            for (id, end) in ends where end <= now {
              ends[id] = nil
              if loop.dialingFailed(to: id, failure: failure) { minute.lines += 1 }
            }
            loop.tick()
            for peer in loop.peers.values where peer.isDialing && ends[peer.id] == nil {
              minute.attempts += 1
              let plan = try #require(loop.plan(peer.id))
              ends[peer.id] = now.advanced(by: Backoff.patience(failures: plan.failures, places: 1))
            }
          }
          passed.append(minute)
        }
        return passed
      }.get()
    }

    @Test func theyAreLookedForRarely() async throws {
      let minutes = try await Self.run()
      // All are looked for at the start, and said to be away, once each.
      #expect(minutes[0].attempts >= Self.peers)
      #expect(minutes.reduce(0) { $0 + $1.lines } == Self.peers)
      // From then on each at most every 94 s: a pause of 90 to 120 s, and an attempt of at least 4
      // s.
      let late = minutes.suffix(10)
      let attempts = late.reduce(0) { $0 + $1.attempts }
      #expect(attempts <= Self.peers * (600 / 94 + 1) && attempts >= Self.peers * (600 / 132 - 1), "\(minutes)")
      // They are lost at one moment, and not looked for at one.
      #expect(late.allSatisfy { $0.attempts <= Self.peers * 8 / 10 }, "\(minutes)")
    }
  }
#endif
