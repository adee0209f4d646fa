// SPDX-License-Identifier: Apache-2.0

// Without the trait swift-crypto is missing, and the compiler's errors about missing modules do not
// say why.
#if !SwiftCrypto
  #error("ZSSPSwiftCrypto needs the package trait SwiftCrypto, which is on unless a package switches it off")
#endif
