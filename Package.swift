// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// CI sets ZSSP_STRICT, which turns every warning of our own targets into an error; users of the package never see it.
let strict: [SwiftSetting] = Context.environment["ZSSP_STRICT"] != nil ? [.treatAllWarnings(as: .error)] : []

let common: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + strict

let package = Package(
  name: "swift-zssp",
  platforms: [.macOS(.v26), .iOS(.v26), .tvOS(.v26), .watchOS(.v26), .visionOS(.v26)],
  products: [
    .library(name: "SwiftZSSP", targets: ["SwiftZSSP"]),
    .library(name: "ZSSP", targets: ["ZSSP"]),
    .library(name: "ZSSPSwiftCrypto", targets: ["ZSSPSwiftCrypto"]),
    .library(name: "ZSSPOpenSSL", targets: ["ZSSPOpenSSL"]),
    .library(name: "ZSSPIPsecMB", targets: ["ZSSPIPsecMB"]),
    .library(name: "ZSSPCryptoMB", targets: ["ZSSPCryptoMB"]),
    .library(name: "ZSSPProviders", targets: ["ZSSPProviders"]),
    .library(name: "ZSSPNIO", targets: ["ZSSPNIO"]),
    .library(name: "ZSSPMetrics", targets: ["ZSSPMetrics"]),
    .library(name: "ZSSPOpenMetrics", targets: ["ZSSPOpenMetrics"]),
    .library(name: "ZSSPSQLite", targets: ["ZSSPSQLite"]),
    .library(name: "ZSSPTesting", targets: ["ZSSPTesting"]),
    .library(name: "ZSSPTunnel", targets: ["ZSSPTunnel"]),
    .library(name: "ZSSPStoreTesting", targets: ["ZSSPStoreTesting"]),
    .executable(name: "zssp", targets: ["ZSSPTool"]),
    // For the other packages of this repository. Semantic versioning does not cover them.
    .library(name: "_ZSSPBenchmark", targets: ["ZSSPBenchmark"]),
    .library(name: "_ZSSPStoreCodec", targets: ["ZSSPStoreCodec"]),
    .library(name: "_ZSSPCommand", targets: ["ZSSPCommand"]),
  ],
  traits: [
    .default(enabledTraits: ["SwiftCrypto", "OpenSSL", "SQLite", "Tunnel"]),
    .trait(name: "SwiftCrypto", description: "The default crypto provider, ZSSPSwiftCrypto."),
    .trait(name: "SQLite", description: "The ratchet store ZSSPSQLite. On Linux it needs libsqlite3-dev."),
    .trait(
      name: "ServiceLifecycle", description: "UDPEndpoint is a Service, for which swift-service-lifecycle is built."),
    .trait(name: "Tracing", description: "Handshakes have spans, for which swift-distributed-tracing is built."),
    .trait(
      name: "KeyLog",
      description: "Sessions can write their keys to a file, for tools that read captures. Not for programs in use."),
    .trait(name: "Tunnel", description: "zssp tunnel and its configuration files, for which TOMLKit is built."),
    .trait(
      name: "OpenSSL", description: "The crypto provider ZSSPOpenSSL, for machines that have libcrypto 3 when it runs.",
      // Before OpenSSL 3.5 key encapsulation comes from swift-crypto.
      enabledTraits: ["SwiftCrypto"]),
    .trait(
      name: "IPsecMB", description: "The crypto provider ZSSPIPsecMB. Needs Linux on x86-64 and libipsec-mb-dev."),
    .trait(
      name: "CryptoMB",
      description:
        "The crypto provider ZSSPCryptoMB, for machines that have AVX-512 IFMA and libcrypto_mb when it runs."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.3.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.7.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.9.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
  ],
  targets: [
    // The protocol: no I/O, no clock, no threads, nothing imported but the standard library.
    .target(name: "ZSSP", swiftSettings: common + [.strictMemorySafety()]),
    // The default crypto provider, on swift-crypto (CryptoKit on Apple's systems).
    .target(
      name: "ZSSPSwiftCrypto",
      dependencies: [
        "ZSSP", "ZSSPFiles",
        .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["SwiftCrypto"])),
        .product(name: "CryptoExtras", package: "swift-crypto", condition: .when(traits: ["SwiftCrypto"])),
      ],
      swiftSettings: common),
    // The functions of OpenSSL's libcrypto, which is loaded at run time: a build needs nothing of it.
    .target(name: "CZSSPOpenSSL", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // A crypto provider on it. Without its trait this target has nothing in it.
    .target(
      name: "ZSSPOpenSSL",
      dependencies: [
        "ZSSP",
        .target(name: "ZSSPSwiftCrypto", condition: .when(traits: ["OpenSSL"])),
        .target(name: "CZSSPOpenSSL", condition: .when(traits: ["OpenSSL"])),
      ],
      swiftSettings: common),
    // Packet keys on Intel's multi-buffer library.
    .systemLibrary(name: "CZSSPIPsecMB", providers: [.apt(["libipsec-mb-dev"])]),
    .target(
      name: "ZSSPIPsecMB",
      dependencies: [
        "ZSSP", .target(name: "CZSSPIPsecMB", condition: .when(platforms: [.linux], traits: ["IPsecMB"])),
      ],
      swiftSettings: common),
    // P-384 of several handshakes at once. Intel's crypto_mb is loaded at run time: a build needs nothing of it.
    .target(name: "CZSSPCryptoMB", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "ZSSPCryptoMB",
      dependencies: [
        "ZSSP", .target(name: "CZSSPCryptoMB", condition: .when(platforms: [.linux], traits: ["CryptoMB"])),
      ],
      swiftSettings: common),
    // Which of these there are, and which is the best.
    .target(
      name: "ZSSPProviders",
      dependencies: [
        "ZSSP",
        .target(name: "ZSSPSwiftCrypto", condition: .when(traits: ["SwiftCrypto"])),
        .target(name: "ZSSPOpenSSL", condition: .when(traits: ["OpenSSL"])),
        .target(name: "ZSSPIPsecMB", condition: .when(traits: ["IPsecMB"])),
        .target(name: "ZSSPCryptoMB", condition: .when(traits: ["CryptoMB"])),
      ],
      swiftSettings: common),
    // The generator with a seed that simulations, test kits and tests share.
    .target(name: "ZSSPRandom", swiftSettings: common),
    // Whole networks of endpoints in virtual time, with faults and attackers, from one seed.
    .target(name: "ZSSPSimulator", dependencies: ["ZSSP", "ZSSPRandom"], swiftSettings: common),
    // What each part costs, beside what bounds it.
    .target(
      name: "ZSSPBenchmark",
      dependencies: [
        "ZSSP", "ZSSPSimulator", "ZSSPNIO", "ZSSPMetrics", "CZSSPSocket",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: common),
    // The protocol again, plain and synchronous, straight from the specification: for readers, and to compare with.
    .target(name: "ZSSPReference", dependencies: ["ZSSP"], swiftSettings: common),
    // Linux's system calls for many datagrams at once. Elsewhere there is nothing in it.
    .target(name: "CZSSPSocket"),
    // UDP on SwiftNIO, on Linux straight on the system's sockets: the async API.
    .target(
      name: "ZSSPNIO",
      dependencies: [
        "ZSSP", "CZSSPSocket",
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
      ],
      swiftSettings: common),
    // All that an application needs behind one import: the protocol, UDP, swift-crypto, the database. Only re-exports,
    // so that each of the targets can be had without the others, and none depends on a crypto library for this.
    .target(
      name: "SwiftZSSP",
      dependencies: [
        "ZSSP", "ZSSPNIO",
        .target(name: "ZSSPSwiftCrypto", condition: .when(traits: ["SwiftCrypto"])),
        .target(name: "ZSSPSQLite", condition: .when(traits: ["SQLite"])),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
      ],
      swiftSettings: common),
    // Counters, gauges and timers of endpoints through swift-metrics.
    .target(
      name: "ZSSPMetrics",
      dependencies: ["ZSSP", "ZSSPNIO", .product(name: "CoreMetrics", package: "swift-metrics")],
      swiftSettings: common),
    // Metrics as text for Prometheus, and a small HTTP server for them.
    .target(
      name: "ZSSPOpenMetrics",
      dependencies: [
        "ZSSP", "ZSSPNIO",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: common),
    // Endpoints on a network in memory, with a clock that tests advance.
    .target(
      name: "ZSSPTesting",
      dependencies: [
        "ZSSP", "ZSSPNIO", "ZSSPRandom",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
      ],
      swiftSettings: common),
    // Files with secrets: whose are believed, and how they are written.
    .target(name: "ZSSPFiles", swiftSettings: common),
    // How states lie in a store that others might read, and the tags by which they are found.
    .target(name: "ZSSPStoreCodec", dependencies: ["ZSSP"], swiftSettings: common),
    // Ratchet states in an SQLite database. Without its trait there is nothing in it.
    .target(
      name: "ZSSPSQLite",
      dependencies: [
        "ZSSP", "ZSSPStoreCodec", "ZSSPFiles",
        .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: common),
    // A private network through a TUN device. The system calls are in C; its configuration files need the trait.
    .target(name: "CZSSPTunnel"),
    .target(
      name: "ZSSPTunnel",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPNIO", "ZSSPOpenMetrics", "ZSSPFiles", "CZSSPTunnel",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "TOMLKit", package: "TOMLKit", condition: .when(traits: ["Tunnel"])),
      ],
      swiftSettings: common),
    // What a ratchet store must do, as cases for the tests of whoever writes one.
    .target(name: "ZSSPStoreTesting", dependencies: ["ZSSP", "ZSSPRandom"], swiftSettings: common),
    // Captures of the network: reads them, and explains the datagrams of ZSSP in them.
    .target(name: "ZSSPCapture", dependencies: ["ZSSP"], swiftSettings: common),
    // The command-line tool, but for its entry point: a package that has another kind of store makes a tool with it.
    .target(
      name: "ZSSPCommand",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPProviders", "ZSSPNIO", "ZSSPSQLite", "ZSSPSimulator", "ZSSPBenchmark",
        "ZSSPTunnel", "ZSSPOpenMetrics", "ZSSPFiles", "ZSSPRandom", "ZSSPCapture",
        .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["SwiftCrypto"])),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: common),
    // The tool is called zssp; a module of that name would be in the way of ZSSP where file names have no case.
    .executableTarget(name: "ZSSPTool", dependencies: ["ZSSPCommand"], swiftSettings: common),
    // Recorded transcripts, a provider that plays their randomness back, threads for tests that block, and tags.
    .target(
      name: "ZSSPTestSupport", dependencies: ["ZSSP"], path: "Tests/ZSSPTestSupport",
      resources: [.copy("Vectors")], swiftSettings: common),
    // Measures times that must not depend on secrets, has its memory scanned and its instructions
    // counted. Used by Scripts, and part of no product.
    .executableTarget(
      name: "ZSSPMeasurements",
      dependencies: ["ZSSP", "ZSSPSwiftCrypto", "ZSSPSQLite", "ZSSPRandom", "ZSSPBenchmark", "ZSSPSimulator"],
      path: "Tests/Measurements",
      swiftSettings: common),
    // A tunnel without cryptography, to measure its path (Scripts/bench-tunnel). Part of no product.
    .executableTarget(
      name: "ZSSPTunnelPath",
      dependencies: ["ZSSP", "ZSSPBenchmark", "ZSSPProviders", "ZSSPSwiftCrypto", "ZSSPNIO", "ZSSPTunnel"],
      path: "Tests/TunnelPath", swiftSettings: common),
    // Counts what a thread allocates, for tests.
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .testTarget(
      name: "AllocationTests",
      dependencies: ["ZSSP", "ZSSPBenchmark", "ZSSPSimulator", "ZSSPTunnel", "ZSSPTestSupport", "CAllocationCounter"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPTests",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPProviders", "ZSSPRandom", "ZSSPTestSupport",
        .target(name: "ZSSPOpenSSL", condition: .when(traits: ["OpenSSL"])),
        .target(name: "CZSSPOpenSSL", condition: .when(traits: ["OpenSSL"])),
        .target(name: "ZSSPIPsecMB", condition: .when(traits: ["IPsecMB"])),
        .target(name: "ZSSPCryptoMB", condition: .when(traits: ["CryptoMB"])),
        .target(name: "CZSSPCryptoMB", condition: .when(traits: ["CryptoMB"])),
        .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["SwiftCrypto"])),
      ],
      resources: [.copy("Vectors")],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPSimulatorTests", dependencies: ["ZSSP", "ZSSPProviders", "ZSSPSimulator", "ZSSPTestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPCaptureTests", dependencies: ["ZSSP", "ZSSPCapture", "ZSSPSwiftCrypto", "ZSSPTestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPReferenceTests",
      dependencies: ["ZSSP", "ZSSPReference", "ZSSPSimulator", "ZSSPSwiftCrypto", "ZSSPTestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPNIOTests",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPProviders", "ZSSPNIO", "ZSSPStoreTesting", "ZSSPTesting", "ZSSPMetrics",
        "SwiftZSSP", "CZSSPSocket", "ZSSPSimulator", "ZSSPTunnel", "ZSSPRandom", "ZSSPTestSupport",
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
        .product(name: "InMemoryTracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
      ],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPOpenMetricsTests",
      dependencies: [
        "ZSSP", "ZSSPNIO", "ZSSPOpenMetrics", "ZSSPTestSupport",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPTunnelTests",
      dependencies: [
        "ZSSP", "ZSSPNIO", "ZSSPTunnel", "ZSSPOpenMetrics", "ZSSPSwiftCrypto", "ZSSPRandom", "ZSSPTestSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
      ],
      swiftSettings: common),
    // Tunnels between network namespaces. They need root.
    .testTarget(name: "TunnelTests", dependencies: ["ZSSPTool", "ZSSPTestSupport"], swiftSettings: common),
    // A file system for SQLite that can lose power, for tests. Without the trait there is nothing in it.
    .target(
      name: "CPowerCut", path: "Tests/CPowerCut",
      cSettings: [.define("ZSSP_SQLITE", .when(traits: ["SQLite"]))],
      linkerSettings: [.linkedLibrary("sqlite3", .when(traits: ["SQLite"]))]),
    .testTarget(
      name: "ZSSPStoreCodecTests", dependencies: ["ZSSP", "ZSSPStoreCodec", "ZSSPSwiftCrypto", "ZSSPTestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPSQLiteTests",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPSQLite", "ZSSPFiles", "ZSSPStoreTesting", "ZSSPTestSupport", "CPowerCut",
        .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
      ],
      swiftSettings: common),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "ZSSPTool", "ZSSPCommand", "ZSSP", "ZSSPFiles", "ZSSPNIO", "ZSSPRandom", "ZSSPStoreTesting", "ZSSPTestSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["SwiftCrypto"])),
      ],
      swiftSettings: common),
  ]
)
