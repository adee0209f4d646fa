// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// An application that brings its own cryptography: without the default traits no crypto library is
// built.
let package = Package(
  name: "OwnProvider",
  dependencies: [.package(name: "swift-zssp", path: "../..", traits: [])],
  targets: [
    .executableTarget(name: "OwnProvider", dependencies: [.product(name: "ZSSP", package: "swift-zssp")])
  ]
)
