// SPDX-License-Identifier: Apache-2.0

// Without the trait swift-crypto is not there, and the errors about missing modules do not say why.
#if !SwiftCrypto
  #error("ZSSPSwiftCrypto needs the package trait SwiftCrypto, which is on unless a package switches it off")
#endif
