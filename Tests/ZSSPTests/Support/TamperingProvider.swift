// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Another provider, but headers are changed before they are protected: what only the holder of a
/// header key can do.
struct TamperingProvider: DerivedProvider {
  let base: any CryptoProvider
  /// Changes the protected bytes of a header: number, count, reserved, type, counter, and the
  /// payload's first four.
  let tamper: @Sendable (inout MutableRawSpan) -> Void

  func headerKey(_ key: Secret) -> any HeaderKey { TamperingHeaderKey(base: base.headerKey(key), tamper: tamper) }
}

private final class TamperingHeaderKey: HeaderKey {
  private let base: any HeaderKey
  private let tamper: @Sendable (inout MutableRawSpan) -> Void

  init(base: any HeaderKey, tamper: @escaping @Sendable (inout MutableRawSpan) -> Void) {
    self.base = base
    self.tamper = tamper
  }

  func encrypt(_ block: inout MutableRawSpan) {
    tamper(&block)
    base.encrypt(&block)
  }

  func decrypt(_ block: inout MutableRawSpan) { base.decrypt(&block) }
}
