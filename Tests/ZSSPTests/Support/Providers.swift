// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP
import ZSSPProviders

/// Every provider that this build has. A test that touches cryptography takes them as its arguments.
///
/// A provider that the build has and the machine cannot run ends the tests: it would be left out unnoticed otherwise. Only
/// libcrypto may be missing, and that is printed. The FIPS module is not part of a build; where OpenSSL finds one, it is
/// tested as well.
let providers: [any CryptoProvider] = {
  var all: [any CryptoProvider] = []
  for choice in ProviderChoice.built {
    do { all.append(try choice.makeProvider()) } catch {
      guard choice == .openSSL, error.isLibraryMissing else { fatalError("\(error)") }
      print("NOT TESTED: \(error)")
    }
  }
  if let fips = try? ProviderChoice.openSSLFIPS.makeProvider() { all.append(fips) }
  return all
}()
