// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPProviders

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the version, the crypto providers, stores, profiles and package traits of this build.")

  /// The version of the package.
  static let number = "0.1.0"
  /// The commit of the sources: `git archive` puts it here (.gitattributes).
  private static let archived = "$Format:%H$"

  @Flag(
    help: "Test every crypto provider of this build against known answers; fail if one gives another. Default: off.")
  var selfTest = false

  @Flag(help: "Print one JSON object. Default: off.")
  var json = false

  func run() throws {
    var report = VersionReport(number: Self.number, archived: Self.archived)
    if selfTest { report.test() }
    if json {
      try Terminal.output(json: report)
    } else {
      for line in report.lines { Terminal.output(line) }
    }
    guard !report.hasFailedTest else {
      throw CommandFailure.failed("a crypto provider failed its self test; do not use it")
    }
  }
}

/// The properties of a build and of the machine that it runs on.
struct VersionReport: Encodable {
  /// A crypto provider of the build.
  struct Provider: Encodable {
    /// Its name in `--crypto`.
    let name: String
    /// The library with its version; nil if the machine cannot run it.
    var library: String?
    /// The reason why the machine cannot run it; nil if it can.
    var unavailable: String?
    /// `passed`, or what was wrong; nil if it was not tested.
    var selfTest: String?
    /// True if its self test failed.
    var hasFailed = false

    init(_ choice: ProviderChoice) {
      name = choice.rawValue
      do throws(ProviderUnavailable) { library = try choice.makeProvider().name } catch { unavailable = "\(error)" }
    }

    private enum CodingKeys: String, CodingKey {
      case name, library, unavailable, selfTest
    }
  }

  let version: String
  /// The commit of the sources; nil for a build in a clone.
  let commit: String?
  /// The fastest provider, with its version.
  let crypto: String
  var providers: [Provider]
  let stores: [String]
  let profiles: [String]
  /// The package traits of the build.
  let traits: [String]
  let system: String
  let architecture: String

  init(number: String, archived: String) {
    version = number
    commit = archived.hasPrefix("$") ? nil : archived
    crypto = FastestProvider().name
    providers = ProviderChoice.built.map(Provider.init)
    var stores = StoreKind.more.map(\.scheme)
    #if SQLite
      stores.append("sqlite")
    #endif
    self.stores = stores + ["file", "memory"]
    profiles = Profile.allCases.map(\.rawValue)
    traits = Self.traitsOfBuild
    system = ProcessInfo.processInfo.operatingSystemVersionString
    architecture = Self.architectureOfBuild
  }

  /// The report as text.
  var lines: [String] {
    let built = providers.filter { $0.name != ProviderChoice.openSSLFIPS.rawValue }
    let available = built.compactMap { provider in provider.library.map { "\(provider.name) (\($0))" } }
    let tests = providers.compactMap { provider in provider.selfTest.map { "self test: \(provider.name): \($0)" } }
    return [
      "zssp \(version)",
      "crypto: \(crypto)",
      "providers: \(available.joined(separator: ", "))",
      "stores: \(stores.joined(separator: ", "))",
      "profiles: \(profiles.joined(separator: ", "))",
      "traits: \(traits.joined(separator: ", "))",
    ] + built.compactMap(\.unavailable) + tests
  }

  var hasFailedTest: Bool { providers.contains(where: \.hasFailed) }

  /// Tests each available provider, and OpenSSL's FIPS module.
  mutating func test() {
    providers.append(Provider(.openSSLFIPS))
    for index in providers.indices {
      guard let choice = ProviderChoice(rawValue: providers[index].name) else { continue }
      let result = Self.test(choice)
      providers[index].selfTest = result.text
      providers[index].hasFailed = result.isFailure
    }
  }

  private static func test(_ choice: ProviderChoice) -> (text: String, isFailure: Bool) {
    do throws(ProviderUnavailable) {
      let provider = try choice.makeProvider()
      do throws(SelfTestFailure) { try provider.selfTest() } catch { return ("FAILED: \(error)", true) }
      return ("passed", false)
    } catch {
      return error.failure == nil ? ("not run: \(error.reason)", false) : ("FAILED: \(error.reason)", true)
    }
  }

  private static var traitsOfBuild: [String] {
    var traits: [String] = []
    #if SwiftCrypto
      traits.append("SwiftCrypto")
    #endif
    #if OpenSSL
      traits.append("OpenSSL")
    #endif
    #if IPsecMB
      traits.append("IPsecMB")
    #endif
    #if CryptoMB
      traits.append("CryptoMB")
    #endif
    #if SQLite
      traits.append("SQLite")
    #endif
    #if Tunnel
      traits.append("Tunnel")
    #endif
    #if ServiceLifecycle
      traits.append("ServiceLifecycle")
    #endif
    #if Tracing
      traits.append("Tracing")
    #endif
    #if KeyLog
      traits.append("KeyLog")
    #endif
    return traits
  }

  private static var architectureOfBuild: String {
    #if arch(x86_64)
      "x86_64"
    #elseif arch(arm64)
      "arm64"
    #else
      "unknown"
    #endif
  }
}
