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
    .library(name: "ZSSP", targets: ["ZSSP"]),
    .library(name: "ZSSPSwiftCrypto", targets: ["ZSSPSwiftCrypto"]),
    .library(name: "ZSSPNIO", targets: ["ZSSPNIO"]),
    .library(name: "ZSSPSimulator", targets: ["ZSSPSimulator"]),
    .library(name: "ZSSPReference", targets: ["ZSSPReference"]),
    .executable(name: "zssp", targets: ["zssp"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    // The protocol: no I/O, no clock, no threads, nothing imported but the standard library.
    .target(name: "ZSSP", swiftSettings: common + [.strictMemorySafety()]),
    // The default crypto provider, on swift-crypto (CryptoKit on Apple's systems).
    .target(
      name: "ZSSPSwiftCrypto",
      dependencies: [
        "ZSSP",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
      ],
      swiftSettings: common),
    // Whole networks of endpoints in virtual time, with faults and attackers, from one seed.
    .target(name: "ZSSPSimulator", dependencies: ["ZSSP"], swiftSettings: common),
    // The protocol again, plain and synchronous, straight from the specification: for readers, and to compare with.
    .target(name: "ZSSPReference", dependencies: ["ZSSP"], swiftSettings: common),
    // UDP on SwiftNIO: the async API.
    .target(
      name: "ZSSPNIO",
      dependencies: [
        "ZSSP",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: common),
    .executableTarget(
      name: "zssp",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPNIO", "ZSSPSimulator",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: common),
    // Recorded transcripts, and a provider that plays their randomness back.
    .target(
      name: "ZSSPTestSupport", dependencies: ["ZSSP"], path: "Tests/ZSSPTestSupport",
      resources: [.copy("Vectors")], swiftSettings: common),
    .testTarget(
      name: "ZSSPTests",
      dependencies: ["ZSSP", "ZSSPSwiftCrypto", "ZSSPTestSupport", .product(name: "Crypto", package: "swift-crypto")],
      resources: [.copy("Vectors")],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPSimulatorTests", dependencies: ["ZSSP", "ZSSPSwiftCrypto", "ZSSPSimulator"], swiftSettings: common),
    .testTarget(
      name: "ZSSPReferenceTests",
      dependencies: ["ZSSP", "ZSSPReference", "ZSSPSimulator", "ZSSPSwiftCrypto", "ZSSPTestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPNIOTests",
      dependencies: [
        "ZSSP", "ZSSPSwiftCrypto", "ZSSPNIO", .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: common),
    .testTarget(
      name: "CommandTests", dependencies: ["zssp", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: common),
  ]
)
