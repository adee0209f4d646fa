// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import NIOPosix
  public import ZSSP
  import ZSSPNIO

  /// Two endpoints on loopback UDP, each on its own event loop. One sends as fast as it can; the
  /// other counts what arrives.
  public enum UDPBenchmark {
    /// The number of bytes that the sender writes at once.
    static let chunk = 128 << 10

    /// Measures goodput with messages of 1400 bytes, compared to raw sockets with the same cipher.
    ///
    /// - Throws: ``EndpointLink/Broken`` or ``UDPError``.
    public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) async throws -> [Figure] {
      let size = 1400
      let raw = try RawSockets(provider, size: size)
      defer { raw.close() }
      let system = try await UDPLink(provider, on: EpollEventLoopGroup.singleton)
      let watched = try await UDPLink(provider, on: EpollEventLoopGroup.singleton, isWatched: true)
      let channels = try await UDPLink(provider, on: MultiThreadedEventLoopGroup.singleton)
      let sleep = { try await Task.sleep(for: effort.duration) }
      var systemRates = [Double]()
      var watchedRates = [Double]()
      var channelRates = [Double]()
      var rawRates = [Double]()
      for _ in 0..<effort.rounds {
        rawRates.append(gigabits(try await raw.rate(during: sleep), size: size))
        systemRates.append(gigabits(try await system.rate(size: size, chunk: chunk, during: sleep), size: size))
        watchedRates.append(gigabits(try await watched.rate(size: size, chunk: chunk, during: sleep), size: size))
        channelRates.append(gigabits(try await channels.rate(size: size, chunk: chunk, during: sleep), size: size))
      }
      await system.close()
      await watched.close()
      await channels.close()
      let bound = ("raw sockets and cipher", rawRates)
      return [
        Figure(
          "udp", name: "\(size) bytes over loopback", rounds: systemRates, unit: "Gbit/s", bound: bound,
          higherIsBetter: true),
        Figure(
          "udp", name: "the same with a log at info, and metrics", rounds: watchedRates, unit: "Gbit/s",
          bound: ("that without them", systemRates), higherIsBetter: true),
        Figure(
          "udp", name: "\(size) bytes over loopback, NIO's channels", rounds: channelRates, unit: "Gbit/s",
          bound: bound, higherIsBetter: true),
      ]
    }

    private static func gigabits(_ rate: Double, size: Int) -> Double { rate * Double(size) * 8 / 1e9 }
  }
#endif
