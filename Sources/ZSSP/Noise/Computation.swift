// SPDX-License-Identifier: Apache-2.0

/// A computation that stops at each P-384 operation and continues with its result.
///
/// Whoever runs it does the operations: ``run(_:)`` one after the other, ``PublicKeyBatch``
/// together with those of other handshakes. Use it on one thread at a time, and continue it once.
package enum Computation<Value> {
  /// The value is computed.
  case done(Value)
  /// A new ephemeral key is needed.
  case generate(Next<any AgreementPrivateKey>)
  /// A received public key is to be decoded.
  case decode(PublicKey, Next<any AgreementPublicKey>)
  /// A shared secret is needed.
  case agree(any AgreementPrivateKey, any AgreementPublicKey, Next<Secret>)

  /// Continues with the result of an operation.
  package typealias Next<Result> = (Result) throws(AuthenticationFailure) -> Computation<Value>

  // [PRIM-7]
  /// Returns the computation that decodes a public key that was received in a handshake.
  static func decode(
    received bytes: RawSpan, next: @escaping Next<any AgreementPublicKey>
  ) throws(AuthenticationFailure) -> Computation {
    guard let key = PublicKey(bytes) else { throw AuthenticationFailure() }
    return .decode(key, next)
  }

  /// Does all operations with `provider`, and returns the value.
  package func run(_ provider: any CryptoProvider) throws(AuthenticationFailure) -> Value {
    var computation = self
    while true {
      if case .done(let value) = computation { return value }
      computation = try computation.step(provider)
    }
  }

  /// Does the next operation with `provider`, and continues up to the one after it.
  func step(_ provider: any CryptoProvider) throws(AuthenticationFailure) -> Computation {
    switch self {
    case .done: self
    case .generate(let next): try next(provider.generateAgreementKey())
    case .decode(let key, let next): try next(provider.decoded(key))
    case .agree(let privateKey, let publicKey, let next): try next(privateKey.agreed(with: publicKey))
    }
  }

  /// Returns the computation of `transform`'s result.
  package func map<Other>(_ transform: @escaping (Value) -> Other) -> Computation<Other> {
    switch self {
    case .done(let value): .done(transform(value))
    case .generate(let next):
      .generate { result throws(AuthenticationFailure) in try next(result).map(transform) }
    case .decode(let key, let next):
      .decode(key) { result throws(AuthenticationFailure) in try next(result).map(transform) }
    case .agree(let privateKey, let publicKey, let next):
      .agree(privateKey, publicKey) { result throws(AuthenticationFailure) in try next(result).map(transform) }
    }
  }
}

// A key that a primitive refuses is an authentication failure like any other (section 1).
extension CryptoProvider {
  fileprivate func decoded(_ key: PublicKey) throws(AuthenticationFailure) -> any AgreementPublicKey {
    do { return try agreementPublicKey(key) } catch { throw AuthenticationFailure() }
  }
}

extension AgreementPrivateKey {
  fileprivate func agreed(with key: any AgreementPublicKey) throws(AuthenticationFailure) -> Secret {
    do { return try sharedSecret(with: key) } catch { throw AuthenticationFailure() }
  }
}
