// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPProviders

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the version, the crypto providers, stores and profiles of this build.")

  /// The version of the package.
  static let number = "0.1.0"

  @Flag(
    help: "Test every crypto provider of this build against known answers; fail if one gives another. Default: off.")
  var selfTest = false

  func run() throws {
    Terminal.output("zssp \(Self.number)")
    Terminal.output("crypto: \(FastestProvider().name)")
    let providers = ProviderChoice.built.map { choice in
      do { return "\(choice.rawValue) (\(try choice.makeProvider().name))" } catch { return "\(error)" }
    }
    Terminal.output("providers: \(providers.joined(separator: ", "))")
    #if SQLite
      let stores = ["sqlite", "file", "memory"]
    #else
      let stores = ["file", "memory"]
    #endif
    Terminal.output("stores: \((StoreKind.more.map(\.scheme) + stores).joined(separator: ", "))")
    Terminal.output("profiles: \(Profile.allCases.map(\.rawValue).joined(separator: ", "))")
    if selfTest { try testProviders() }
  }

  /// Tests each available provider, and names the function that fails.
  private func testProviders() throws {
    let results = (ProviderChoice.built + [.openSSLFIPS]).map { choice in
      let result = Self.test(choice)
      Terminal.output("self test: \(choice.rawValue): \(result.text)")
      return result
    }
    guard !results.contains(where: \.isFailure) else {
      throw CommandFailure.failed("a crypto provider failed its self test; do not use it")
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
}
