// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Distributions of the time of each part, to compare two versions of the code: `swift package
// benchmark`. What bounds the parts, and how near they come, is what `zssp bench` shows.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "swift-zssp", path: ".."),
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "PacketPath",
      dependencies: [
        .product(name: "Benchmark", package: "benchmark"),
        .product(name: "ZSSP", package: "swift-zssp"),
        .product(name: "_ZSSPBenchmark", package: "swift-zssp"),
        .product(name: "ZSSPProviders", package: "swift-zssp"),
      ],
      path: "Benchmarks/PacketPath",
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
  ]
)
