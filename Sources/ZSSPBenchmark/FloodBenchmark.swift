// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import NIOPosix
  public import ZSSP
  import ZSSPNIO

  /// What a flood of Hellos takes from an established session: a steady stream of messages to an endpoint whose socket for Hellos is
  /// kept full by a thread that does nothing else.
  public enum FloodBenchmark {
    /// The stream: so many messages of 1400 bytes every millisecond, about a gigabit a second.
    private static let stream = PacedStream(size: 1400, burst: 100)

    /// Goodput and latency, each beside the same without the flood.
    public static func run(_ provider: any CryptoProvider, _ effort: BenchmarkEffort = .init()) async throws -> [Figure]
    {
      let loops = (SystemEventLoopGroup.singleton.next(), SystemEventLoopGroup.singleton.next())
      let link = try await UDPLink(provider, sending: loops.0, receiving: loops.1)
      // The attacker would have a machine of its own. Here it gets a processor that is not the one of who is attacked, and
      // there only what the sender of the stream leaves.
      let placement = Placement()
      try await loops.0.submit { placement.pin(.others) }.get()
      try await loops.1.submit { placement.pin(.own) }.get()
      let flood = try HelloFlood(provider, at: link.receiver.localAddress, key: link.receiver.publicKey)
      var (calm, flooded, hellos) = ([PacedStream.Result](), [PacedStream.Result](), [Double]())
      let clock = ContinuousClock()
      for _ in 0..<effort.rounds {
        calm.append(try await stream.run(over: link, for: effort.duration))
        let (start, before) = (clock.now, flood.sent.value)
        try await flood.whileRunning(placed: placement) {
          flooded.append(try await stream.run(over: link, for: effort.duration))
        }
        hellos.append(Double(flood.sent.value - before) / ((clock.now - start) / .seconds(1)))
      }
      await link.close()
      try await loops.0.submit { placement.unpin() }.get()
      try await loops.1.submit { placement.unpin() }.get()
      return [
        Figure("flood", "Hellos sent to the endpoint", hellos, "/s"),
        Figure(
          "flood", "messages received meanwhile", flooded.map(\.rate), "/s",
          bound: ("those without the flood", calm.map(\.rate)), higherIsBetter: true),
        Figure(
          "flood", "latency, 99th percentile", flooded.map(\.latency), "ns",
          bound: ("that without the flood", calm.map(\.latency))),
      ]
    }
  }
#endif
