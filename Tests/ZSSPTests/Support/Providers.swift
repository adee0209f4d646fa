// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP
import ZSSPSwiftCrypto

/// Every provider that this build has. A test that touches cryptography takes them as its arguments.
let providers: [any CryptoProvider] = [SwiftCryptoProvider()]
