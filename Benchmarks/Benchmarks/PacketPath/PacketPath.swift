// SPDX-License-Identifier: Apache-2.0
import Benchmark
import ZSSP
import ZSSPBenchmark
import ZSSPProviders

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.cpuTotal, .wallClock, .throughput], scalingFactor: .kilo, maxDuration: .seconds(2))

  for (batch, size) in [(64, 64), (64, 1400), (4, 60_000)] {
    Benchmark("Send and receive \(batch) messages of \(size) bytes") { benchmark in
      var path = try PacketPath(FastestProvider(), size: size, batch: batch)
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations { try path.exchange() }
    }
  }

  Benchmark("Handshake, both sides", configuration: .init(scalingFactor: .one)) { benchmark in
    var handshakes = try RepeatedHandshakes(FastestProvider())
    benchmark.startMeasurement()
    for _ in benchmark.scaledIterations { try handshakes.shake() }
  }
}
