// SPDX-License-Identifier: Apache-2.0

/// A secret that two peers share before their first contact, as a text that people can exchange
/// (section 9).
///
/// The password's bytes are the UTF-8 bytes of its text, without the white space around it. They
/// are not the bytes that the text encodes: a password of 44 characters of base64 is 44 bytes long.
/// `zssp otp` makes such texts, and `--otp-file` reads them in the same way.
///
/// A password is valid for one pair of peers, once. Its bytes are wiped when the last owner
/// releases them. The text it was read from, and the text that ``text`` returns, cannot be wiped.
public struct OneTimePassword: Sendable {
  /// The fewest bytes that a password may have. They should hold 256 bits of entropy, as 44
  /// characters of base64 do.
  public static let smallestSize = 32

  private let bytes: Secret

  /// Creates a password from a text. White space around it is ignored.
  ///
  /// - Throws: ``OneTimePasswordError`` if the text has fewer than ``smallestSize`` bytes.
  public init(text: some StringProtocol) throws(OneTimePasswordError) {
    let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.startIndex
    let trimmed = text[..<end].drop { $0.isWhitespace }
    guard trimmed.utf8.count >= Self.smallestSize else { throw .tooShort(trimmed.utf8.count) }
    bytes = Secret(copying: Array(trimmed.utf8).rawBytes)
  }

  /// Generates a password of 256 random bits, 44 characters of base64.
  public static func generate(from provider: some CryptoProvider) -> OneTimePassword {
    let random = Secret(count: 32) { provider.fillRandom(&$0) }
    return OneTimePassword(bytes: Secret(copying: Array(Base64.encode(random.bytes).utf8).rawBytes))
  }

  private init(bytes: Secret) { self.bytes = bytes }

  /// The password as a text, to be exchanged over a secure channel.
  public var text: String { String(decoding: bytes.bytes.array, as: UTF8.self) }

  // [RAT-10]
  /// Returns the ratchet state that is derived from the password.
  public func state(provider: some CryptoProvider) -> RatchetState {
    RatchetState(oneTimePassword: bytes.bytes, provider: provider)
  }
}

extension OneTimePassword: CustomStringConvertible, CustomReflectable {
  /// The name of the type, without the password.
  public var description: String { "OneTimePassword" }
  /// A mirror without children, so that `dump` does not show the password.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The reason why a text is not a one-time password.
public enum OneTimePasswordError: Error, Equatable, CustomStringConvertible {
  /// The text has this many bytes without the white space around it: fewer than
  /// ``OneTimePassword/smallestSize``.
  case tooShort(Int)

  /// The problem, and what to do.
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
  /// The store holds the state of the password for the peer. Until the first session an initiator
  /// should set the flag ``SecurityFlags/initiatorDisallowsDowngrade``, which insists on this
  /// state.
  case stored
  /// The store already holds another ratchet for the peer, and has kept it. The password was not
  /// used.
  case alreadyKnown
}

/// A ratchet store could not execute a request.
public struct RatchetStoreError: Error, Equatable, CustomStringConvertible {
  /// The action that failed, for people.
  public let action: String

  /// The action that failed, and where to find the cause.
  public var description: String { "the ratchet store could not \(action); it reports the cause itself (its logger)" }
}

extension RatchetStore {
  /// Stores the state of a one-time password for a peer that the store does not know. It is durable
  /// when this returns.
  ///
  /// A program may call it again with the same password after a restart: until the first session it
  /// returns ``Enrolment/stored``, and afterwards ``Enrolment/alreadyKnown``.
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

  /// Removes everything that is stored for a peer. The peer is a stranger then: in persistent mode
  /// it cannot connect until it is enrolled again. Its present sessions continue until their next
  /// re-key.
  ///
  /// - Returns: true if anything was stored.
  /// - Throws: ``RatchetStoreError`` if the store fails.
  @discardableResult
  public func forget(_ peer: PublicKey) async throws(RatchetStoreError) -> Bool {
    // A session of the peer may change the row between load and swap, but not without end.
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
