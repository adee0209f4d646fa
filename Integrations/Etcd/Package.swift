// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// CI sets ZSSP_STRICT, which turns every warning of our own targets into an error.
let strict: [SwiftSetting] = Context.environment["ZSSP_STRICT"] != nil ? [.treatAllWarnings(as: .error)] : []

let common: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + strict

// A package of its own, so that nobody who does not use etcd builds gRPC.
let package = Package(
  name: "swift-zssp-etcd",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "ZSSPEtcd", targets: ["ZSSPEtcd"]),
    .executable(name: "zssp-etcd", targets: ["ZSSPEtcdTool"]),
  ],
  dependencies: [
    .package(name: "swift-zssp", path: "../.."),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
  ],
  targets: [
    // Ratchet states in etcd.
    .target(
      name: "ZSSPEtcd",
      dependencies: [
        .product(name: "ZSSP", package: "swift-zssp"),
        .product(name: "_ZSSPStoreCodec", package: "swift-zssp"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: common),
    // The tool zssp, with these stores.
    .executableTarget(
      name: "ZSSPEtcdTool",
      dependencies: [
        "ZSSPEtcd",
        .product(name: "ZSSP", package: "swift-zssp"),
        .product(name: "_ZSSPCommand", package: "swift-zssp"),
        .product(name: "ZSSPProviders", package: "swift-zssp"),
      ],
      swiftSettings: common),
    .testTarget(
      name: "ZSSPEtcdTests",
      dependencies: [
        "ZSSPEtcd", "ZSSPEtcdTool",
        .product(name: "ZSSP", package: "swift-zssp"),
        .product(name: "ZSSPNIO", package: "swift-zssp"),
        .product(name: "ZSSPProviders", package: "swift-zssp"),
        .product(name: "ZSSPStoreTesting", package: "swift-zssp"),
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: common),
  ]
)
