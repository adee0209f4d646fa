// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import NIOPosix
  public import ZSSP
  import ZSSPNIO

  /// Measures the effect of a flood of Hellos on an established session: a steady stream of
  /// messages to an endpoint whose Hello socket is kept full by a separate thread.
  public enum FloodBenchmark {
    /// The stream: 100 messages of 1400 bytes per millisecond, about 1 Gbit/s.
    private static let stream = PacedStream(size: 1400, burst: 100)

    /// The number of hosts that solve challenges.
    private static let answeringHosts = 16
    /// The number of newcomers that connect meanwhile.
    private static let newcomerCount = 20

    /// Measures goodput and latency, each beside the same without the flood.
    ///
    /// - Throws: ``EndpointLink/Broken`` or ``UDPError``.
    public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) async throws -> [Figure] {
      let loops = (EpollEventLoopGroup.singleton.next(), EpollEventLoopGroup.singleton.next())
      let link = try await UDPLink(provider, sending: loops.0, receiving: loops.1)
      // The attacker would have its own machine. Here it gets a processor that the victim does not
      // use, and there only what the stream's sender leaves.
      let placement = Placement()
      try await loops.0.submit { placement.pin(.others) }.get()
      try await loops.1.submit { placement.pin(.own) }.get()
      let flood = try HelloFlood(provider, at: link.receiver.localAddress, key: link.receiver.publicKey)
      var calm = [PacedStream.Result]()
      var flooded = [PacedStream.Result]()
      var hellos = [Double]()
      let clock = ContinuousClock()
      for _ in 0..<effort.rounds {
        calm.append(try await stream.run(over: link, for: effort.duration))
        let start = clock.now
        let before = flood.sent.value
        try await flood.whileRunning(placed: placement) {
          flooded.append(try await stream.run(over: link, for: effort.duration))
        }
        hellos.append(Double(flood.sent.value - before) / ((clock.now - start) / .seconds(1)))
      }
      let answered = try await runAnswered(provider, link: link, placement: placement, effort: effort)
      await link.close()
      try await loops.0.submit { placement.unpin() }.get()
      try await loops.1.submit { placement.unpin() }.get()
      return [
        Figure("flood", name: "Hellos sent to the endpoint", rounds: hellos, unit: "/s"),
        Figure(
          "flood", name: "messages received meanwhile", rounds: flooded.map(\.rate), unit: "/s",
          bound: ("those without the flood", calm.map(\.rate)), higherIsBetter: true),
        Figure(
          "flood", name: "latency, 99th percentile", rounds: flooded.map(\.latency), unit: "ns",
          bound: ("that without the flood", calm.map(\.latency))),
      ] + answered
    }

    /// Measures the effect of hosts that solve every challenge and repeat their answers, on
    /// newcomers and on the session.
    private static func runAnswered(
      _ provider: any CryptoProvider, link: UDPLink, placement: Placement, effort: BenchmarkEffort
    ) async throws -> [Figure] {
      let address = link.receiver.localAddress
      let key = link.receiver.publicKey
      let flood = try AnswerFlood(hosts: answeringHosts, provider, at: address, key: key)
      // Threads that newcomers start for their work stay on the processor of their event loop.
      let loop = EpollEventLoopGroup.singleton.next()
      if loop !== link.receivingLoop { try await loop.submit { placement.pin(.others) }.get() }
      let newcomers = Newcomers(count: newcomerCount, patience: .seconds(20), eventLoop: loop)
      let accepting = Task {
        for await handshake in link.receiver.incoming { _ = try? await handshake.accept() }
      }
      defer { accepting.cancel() }
      var calm = [PacedStream.Result]()
      var flooded = [PacedStream.Result]()
      var came = [Newcomers.Result]()
      var work = [Double]()
      var hellos = [Double]()
      for _ in 0..<effort.rounds {
        calm.append(try await stream.run(over: link, for: effort.duration))
        let start = ContinuousClock.now
        let sent = flood.sent.value
        let before = await link.receiver.statistics().transport.timeOnHellos
        try await flood.whileRunning(placed: placement) {
          // One after the other: newcomers would slow down the stream's sender, whose processor
          // they share.
          flooded.append(try await stream.run(over: link, for: effort.duration))
          came.append(try await newcomers.come(to: address, key: key, provider))
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let time = await link.receiver.statistics().transport.timeOnHellos - before
        work.append(time / .milliseconds(1) / seconds)
        hellos.append(Double(flood.sent.value - sent) / seconds)
      }
      if loop !== link.receivingLoop { try await loop.submit { placement.unpin() }.get() }
      let budget = HelloBudget()
      let allowed = (budget.unchallenged + budget.challenged) / .milliseconds(1)
      let rounds = effort.rounds
      return [
        Figure("flood", name: "answered Hellos sent by \(answeringHosts) hosts", rounds: hellos, unit: "/s"),
        Figure(
          "flood", name: "newcomers in within 20 s", rounds: came.map { Double($0.established) }, unit: "",
          bound: ("all", Array(repeating: Double(newcomerCount), count: rounds)), higherIsBetter: true),
        Figure("flood", name: "time until the last of them is in", rounds: came.map(\.slowest), unit: "s"),
        Figure(
          "flood", name: "work on Hellos in a second", rounds: work, unit: "ms",
          bound: ("the budget", Array(repeating: allowed, count: rounds)), higherIsBetter: true),
        Figure(
          "flood", name: "messages received beside answered Hellos", rounds: flooded.map(\.rate), unit: "/s",
          bound: ("those without the flood", calm.map(\.rate)), higherIsBetter: true),
      ]
    }
  }
#endif
