// SPDX-License-Identifier: Apache-2.0

/// A secret that two peers share before their first contact, as a text that people can pass on (section 9).
///
/// The password's bytes are the UTF-8 bytes of its text, without the white space around it. They are not the bytes that
/// the text encodes: a password of 44 characters of base64 is 44 bytes long. `zssp otp` makes such texts, and
/// `--otp-file` reads them in the same way.
///
/// A password is good for one pair of peers, once. The bytes are wiped when the last owner releases them; the texts
/// that they were read from and that ``text`` returns cannot be.
public struct OneTimePassword: Sendable {
  /// The fewest bytes that a password may have. They should hold 256 bits of entropy: 44 characters of base64 do.
  public static let smallestSize = 32

  private let bytes: Secret

  /// Reads a password. White space around it does not count.
  ///
  /// - Throws: ``OneTimePasswordError`` if fewer than ``smallestSize`` bytes are left.
  public init(text: some StringProtocol) throws(OneTimePasswordError) {
    let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.startIndex
    let trimmed = text[..<end].drop { $0.isWhitespace }
    guard trimmed.utf8.count >= Self.smallestSize else { throw .tooShort(trimmed.utf8.count) }
    bytes = Secret(copying: Array(trimmed.utf8).rawBytes)
  }

  /// Makes a password of 256 random bits, 44 characters of base64.
  public static func generate(from provider: some CryptoProvider) -> OneTimePassword {
    let random = Secret(count: 32) { provider.fillRandom(&$0) }
    return OneTimePassword(bytes: Secret(copying: Array(Base64.encode(random.bytes).utf8).rawBytes))
  }

  private init(bytes: Secret) { self.bytes = bytes }

  /// The password as a text to pass on, over a secure channel.
  public var text: String { String(decoding: bytes.bytes.array, as: UTF8.self) }

  // [RAT-10]
  /// Returns the ratchet state that the password stands for.
  public func state(provider: some CryptoProvider) -> RatchetState {
    RatchetState(oneTimePassword: bytes.bytes, provider: provider)
  }
}

extension OneTimePassword: CustomStringConvertible, CustomReflectable {
  /// Names the type and nothing else.
  public var description: String { "OneTimePassword" }
  /// Has no children, so `dump` shows nothing of the password.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why a text is no one-time password.
public enum OneTimePasswordError: Error, Equatable, CustomStringConvertible {
  /// The text has this many bytes without the white space around it: fewer than ``OneTimePassword/smallestSize``.
  case tooShort(Int)

  /// What is wrong and what would be right.
  public var description: String {
    switch self {
    case .tooShort(let size):
      "a one-time password of \(size) bytes is too short: at least \(OneTimePassword.smallestSize) are needed; "
        + "OneTimePassword.generate() or 'zssp otp' makes a good one"
    }
  }
}

/// The result of ``RatchetStore/enrol(_:with:provider:)``.
public enum Enrolment: Sendable, Hashable {
  /// The store holds the state of the password for the peer. Until the first session an initiator should have the flag
  /// ``SecurityFlags/initiatorDisallowsDowngrade``, which insists on it.
  case stored
  /// The store held another ratchet for the peer already, and still does. The password was not used.
  case alreadyKnown
}

/// A ratchet store answered that it could not do what was asked.
public struct RatchetStoreError: Error, Equatable, CustomStringConvertible {
  /// What was to be done, for people.
  public let action: String

  /// What could not be done, and what to do.
  public var description: String { "the ratchet store could not \(action); it reports the cause itself (its logger)" }
}

extension RatchetStore {
  /// Stores the state of a one-time password for a peer that the store does not know. Durable when this returns.
  ///
  /// A restart may call it again with the same password: until the first session it is ``Enrolment/stored`` each time,
  /// and afterwards ``Enrolment/alreadyKnown``.
  ///
  /// - Parameters:
  ///   - peer: the peer's static key.
  ///   - password: the password that the peer has, too.
  ///   - provider: derives the state from the password.
  /// - Throws: ``RatchetStoreError`` if the store fails.
  public func enrol(
    _ peer: PublicKey, with password: OneTimePassword, provider: some CryptoProvider
  ) async throws(RatchetStoreError) -> Enrolment {
    let state = password.state(provider: provider)
    // [RAT-11]
    switch await answer(.compareAndSwap(peer: peer, expected: .empty, new: RatchetPair(state))) {
    case .swapped: return .stored
    case .notSwapped:
      guard case .pair(let held, _) = await answer(.load(peer: peer)) else { break }
      return held.state1 == state ? .stored : .alreadyKnown
    default: break
    }
    throw RatchetStoreError(action: "store the one-time password")
  }

  /// Removes everything that is stored for a peer. It is a stranger then: in persistent mode it cannot come back before
  /// it is enrolled again. Sessions that it has go on until their next re-key.
  ///
  /// - Returns: whether anything was stored.
  /// - Throws: ``RatchetStoreError`` if the store fails.
  @discardableResult
  public func forget(_ peer: PublicKey) async throws(RatchetStoreError) -> Bool {
    // A swap of a session of the peer may come in between; it does not do so for ever.
    for _ in 0..<100 {
      guard case .pair(let held, _) = await answer(.load(peer: peer)) else { break }
      if held == .empty { return false }
      switch await answer(.compareAndSwap(peer: peer, expected: held, new: .empty)) {
      case .swapped: return true
      case .notSwapped: continue
      default: throw RatchetStoreError(action: "forget the peer")
      }
    }
    throw RatchetStoreError(action: "forget the peer")
  }
}
