// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let package = Package(
  name: "SensorGateway",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "swift-zssp", path: "../..", traits: [.defaults, "ServiceLifecycle"])
  ],
  targets: [
    .target(name: "SensorGateway", dependencies: [.product(name: "SwiftZSSP", package: "swift-zssp")]),
    .executableTarget(name: "gateway", dependencies: ["SensorGateway"]),
    .executableTarget(name: "sensor", dependencies: ["SensorGateway"]),
    .testTarget(
      name: "SensorGatewayTests",
      dependencies: ["SensorGateway", .product(name: "ZSSPTesting", package: "swift-zssp")]),
  ]
)
