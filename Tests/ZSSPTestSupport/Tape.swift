// SPDX-License-Identifier: Apache-2.0

import Synchronization

package import ZSSP

/// The values that one side took from outside the protocol, in order: random draws and the values
/// of its KEM. A side that gets them again does the same again. The tape also records what the side
/// hashes, for comparison with the recording.
///
/// A request that is not next on the tape does not stop the run; it is recorded as a problem.
package final class Tape: Sendable {
  /// One thing on the tape.
  package enum Entry: Sendable {
    /// Random bytes.
    case draw([UInt8])
    /// Random bytes for a P-384 private key.
    case agreement([UInt8])
    /// A KEM key was made.
    case encapsulationKey([UInt8])
    /// A secret was made for the holder of a KEM key.
    case encapsulation(to: [UInt8], ciphertext: [UInt8], secret: [UInt8])
    /// A secret was read.
    case decapsulation([UInt8], secret: [UInt8])
  }

  private struct State {
    var entries: ArraySlice<Entry>
    var problems: [String] = []
    var hashes: [[UInt8]] = []
    var codes: [[UInt8]] = []
  }

  private let state: Mutex<State>

  package init(_ entries: [Entry]) { state = Mutex(State(entries: entries[...])) }

  /// The problems so far.
  package var problems: [String] { state.withLock { $0.problems } }
  /// The number of entries that were not requested yet.
  package var rest: Int { state.withLock { $0.entries.count } }
  /// The values of SHA-512, in order.
  package var hashes: [[UInt8]] { state.withLock { $0.hashes } }
  /// The values of HMAC-SHA-512, in order.
  package var codes: [[UInt8]] { state.withLock { $0.codes } }

  package func note(hash: Digest) { state.withLock { $0.hashes.append(hash.bytes.array) } }
  package func note(code: Secret) { state.withLock { $0.codes.append(code.bytes.array) } }
  package func note(problem: String) { state.withLock { $0.problems.append(problem) } }

  /// The next entry if `read` can make something of it.
  package func next<Value>(_ wanted: String, read: (Entry) -> Value?) -> Value? {
    let entry = state.withLock { $0.entries.popFirst() }
    guard let entry else {
      note(problem: "\(wanted) was asked for after the end of the tape")
      return nil
    }
    if let value = read(entry) { return value }
    note(problem: "\(wanted) was asked for, and \(entry.kind) is next")
    return nil
  }
}

extension Tape.Entry: Decodable {
  private enum Field: String, CodingKey {
    case draw, agreement, encapsulationKey, encapsulate, ciphertext, secret, decapsulate
  }

  package init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    func bytes(_ field: Field) throws -> [UInt8]? { try fields.decodeIfPresent(Hex.self, forKey: field)?.bytes }
    func needed(_ field: Field) throws -> [UInt8] { try fields.decode(Hex.self, forKey: field).bytes }
    if let bytes = try bytes(.draw) {
      self = .draw(bytes)
    } else if let bytes = try bytes(.agreement) {
      self = .agreement(bytes)
    } else if let bytes = try bytes(.encapsulationKey) {
      self = .encapsulationKey(bytes)
    } else if let key = try bytes(.encapsulate) {
      self = .encapsulation(to: key, ciphertext: try needed(.ciphertext), secret: try needed(.secret))
    } else {
      self = .decapsulation(try needed(.decapsulate), secret: try needed(.secret))
    }
  }

  /// The kind of the entry, for messages.
  package var kind: String {
    switch self {
    case .draw(let bytes): "a draw of \(bytes.count) bytes"
    case .agreement: "a P-384 key"
    case .encapsulationKey: "a KEM key"
    case .encapsulation: "an encapsulation"
    case .decapsulation: "a decapsulation"
    }
  }
}
