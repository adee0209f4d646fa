// SPDX-License-Identifier: Apache-2.0

/// The name of a ratchet state, which does not reveal its key: 32 bytes (section 9).
public struct Fingerprint: Sendable, Hashable {
  private let words: InlineWords

  /// The size in bytes.
  public static let size = 32

  /// The fingerprint of the empty state: zeros.
  public static let empty = Fingerprint(Secret.zeros(size).bytes)

  /// Copies the first 32 bytes of `bytes`, which must have at least 32.
  public init(_ bytes: RawSpan) {
    words = InlineWords(
      first: bytes.load(UInt64.self, at: 0), second: bytes.load(UInt64.self, at: 8),
      third: bytes.load(UInt64.self, at: 16), fourth: bytes.load(UInt64.self, at: 24))
  }

  /// True if this is the fingerprint of the empty state.
  public var isEmpty: Bool { self == .empty }

  /// A copy of the 32 bytes.
  public var bytes: [UInt8] {
    [words.first, words.second, words.third, words.fourth].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
    }
  }

  /// The first eight bytes, as a big-endian integer.
  var prefix: UInt64 { words.first }

  private struct InlineWords: Sendable, Hashable {
    let first, second, third, fourth: UInt64
  }
}

extension Fingerprint: Comparable {
  /// Orders fingerprints by their bytes.
  public static func < (left: Fingerprint, right: Fingerprint) -> Bool {
    let left = left.words
    let right = right.words
    return (left.first, left.second, left.third, left.fourth) < (right.first, right.second, right.third, right.fourth)
  }
}

extension Fingerprint: CustomStringConvertible, CustomReflectable {
  /// The first four bytes in hexadecimal, for logs. With the whole fingerprint a Hello could be
  /// recognised, so it is not shown.
  public var description: String { String(bytes.rawBytes.hexadecimal.prefix(8)) }
  /// A mirror without children, so that `dump` shows no more than the description.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The secret that one session leaves for the next: a key, its name, and the length of the chain
/// (section 9).
public struct RatchetState: Sendable {
  /// The pre-shared key of the next handshake, 32 bytes.
  public let key: Secret
  /// The key's name, which the next Hello carries.
  public let fingerprint: Fingerprint
  /// The number of handshakes in the chain; 0 for the empty state only.
  public let chainLength: UInt64

  // [RAT-1]
  /// The state of peers that have never met: zeros.
  public static let empty = RatchetState(key: .zeros(32), fingerprint: .empty, chainLength: 0)

  /// Creates a state of the given parts. `key` is 32 bytes.
  public init(key: Secret, fingerprint: Fingerprint, chainLength: UInt64) {
    self.key = key
    self.fingerprint = fingerprint
    self.chainLength = chainLength
  }

  /// True if this is the empty state.
  public var isEmpty: Bool { fingerprint.isEmpty }
}

extension RatchetState: Equatable {
  // [RAT-7]
  /// Compares states by fingerprint and chain length, never by key (section 9).
  public static func == (left: RatchetState, right: RatchetState) -> Bool {
    left.fingerprint == right.fingerprint && left.chainLength == right.chainLength
  }
}

/// The states that a store holds for one peer: the newest, and an older one while the peer may
/// still need it.
public struct RatchetPair: Sendable, Equatable {
  /// The newest state.
  public let state1: RatchetState
  /// An older state that is still valid, if any.
  public let state2: RatchetState?

  // [RAT-2]
  /// The pair of a peer that a store does not know.
  public static let empty = RatchetPair(.empty)

  /// Creates a pair of the given states.
  public init(_ state1: RatchetState, _ state2: RatchetState? = nil) {
    self.state1 = state1
    self.state2 = state2
  }

  /// Returns the state with this fingerprint. Nil if the pair has none, or if the fingerprint is
  /// that of the empty state.
  public func state(_ fingerprint: Fingerprint) -> RatchetState? {
    guard !fingerprint.isEmpty else { return nil }
    if state1.fingerprint == fingerprint { return state1 }
    return state2?.fingerprint == fingerprint ? state2 : nil
  }

  // [DEC-75]
  /// Returns the state of this pair that a Hello names; nil if it names none. A Hello may name
  /// both: then each side holds an unconfirmed state of the other beside its own (section 14). Both
  /// sides may be opening and must choose alike, so this returns the one with the smaller
  /// fingerprint.
  func common(_ first: Fingerprint, _ second: Fingerprint) -> RatchetState? {
    guard let one = state(first) else { return state(second) }
    guard let other = state(second) else { return one }
    return one.fingerprint < other.fingerprint ? one : other
  }

  /// Returns true if `state` is one of the two.
  public func contains(_ state: RatchetState) -> Bool { state1 == state || state2 == state }
}
