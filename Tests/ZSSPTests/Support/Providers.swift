// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP
import ZSSPProviders

#if CryptoMB
  import ZSSPCryptoMB
#endif

/// Every provider that this build has, by its name.
///
/// A provider that the build has and the machine cannot run ends the tests: it would be left out
/// unnoticed otherwise. Only libcrypto and crypto_mb may be missing, and that is printed. The FIPS
/// module is not part of a build; where OpenSSL finds one, it is among them. crypto_mb is among
/// them twice: as it is used, when single operations come from another provider, and with all
/// operations in its lanes.
private let usable: [(choice: ProviderChoice, provider: any CryptoProvider)] = {
  var all: [(ProviderChoice, any CryptoProvider)] = []
  for choice in ProviderChoice.built {
    do throws(ProviderUnavailable) { all.append((choice, try choice.makeProvider())) } catch {
      guard error.isMissingHere else { fatalError("\(error)") }
      print("NOT TESTED: \(error)")
    }
    #if CryptoMB && os(Linux) && arch(x86_64)
      if let provider = all.last?.1 as? CryptoMBProvider { all.append((choice, LaneByLane(provider))) }
    #endif
  }
  if let fips = try? ProviderChoice.openSSLFIPS.makeProvider() { all.append((.openSSLFIPS, fips)) }
  return all
}()

/// Every provider, for tests that compare one with the others.
let allProviders: [any CryptoProvider] = usable.map(\.provider)

/// Every provider. A test that touches cryptography takes them as its arguments.
///
/// The variable `ZSSP_TEST_PROVIDERS` names some, with commas between, where the others were tested
/// in another run.
let providers: [any CryptoProvider] = {
  guard let names = ProcessInfo.processInfo.environment["ZSSP_TEST_PROVIDERS"] else { return allProviders }
  return names.split(separator: ",").flatMap { name in
    let found = usable.filter { $0.choice.rawValue == name }
    guard !found.isEmpty else {
      fatalError("ZSSP_TEST_PROVIDERS: this build or machine has no provider '\(name)'")
    }
    return found.map(\.provider)
  }
}()
