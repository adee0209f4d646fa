// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPProviders

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the version and what it was built with.")

  /// The version of the package.
  static let number = "0.1.0"

  func run() {
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
  }
}
