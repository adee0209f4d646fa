// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The names of keys in etcd. Bytes are written as hexadecimal digits, for people who use etcdctl.
struct Keys: Sendable {
  let prefix: String

  /// The key of the head.
  var head: [UInt8] { bytes("store") }
  /// The prefix of rows.
  var peers: [UInt8] { bytes("peers/") }
  /// The prefix of the index.
  var tags: [UInt8] { bytes("tags/") }
  /// The prefix of fences.
  var fences: [UInt8] { bytes("fences/") }
  /// The prefix of all keys.
  var all: [UInt8] { bytes("") }

  func peer(_ peer: PublicKey) -> [UInt8] { bytes("peers/\(peer.hexadecimal)") }

  /// Returns the prefix of a tag's entries: one for each peer that has a state with this tag.
  func tag(_ tag: [UInt8]) -> [UInt8] { bytes("tags/\(tag.hexadecimal)/") }

  func tag(_ tag: [UInt8], _ peer: PublicKey) -> [UInt8] {
    bytes("tags/\(tag.hexadecimal)/\(peer.hexadecimal)")
  }

  func fence(_ name: [UInt8]) -> [UInt8] { bytes("fences/\(name.hexadecimal)") }

  /// Parses a store's name in the key of its fence; nil for another key.
  func name(ofFence key: [UInt8]) -> [UInt8]? {
    guard key.count == fences.count + 32, key.starts(with: fences) else { return nil }
    return Self.bytes(hexadecimal: Array(key.suffix(32)))
  }

  /// Returns the prefix of the marks of a store, which has the fence with this name.
  func marks(_ name: [UInt8]) -> [UInt8] { bytes("marks/\(name.hexadecimal)/") }

  /// Returns the key that records an executed write where its row cannot.
  func mark(_ name: [UInt8], _ write: [UInt8]) -> [UInt8] { marks(name) + Array(write.hexadecimal.utf8) }

  /// Parses the peer at the end of a key.
  static func peer(in key: some Collection<UInt8>) -> PublicKey? {
    let digits = Array(key.suffix(2 * PublicKey.size))
    guard digits.count == 2 * PublicKey.size, let bytes = bytes(hexadecimal: digits) else { return nil }
    return PublicKey(bytes)
  }

  /// Decodes hexadecimal digits, whose number must be even.
  private static func bytes(hexadecimal digits: [UInt8]) -> [UInt8]? {
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  private func bytes(_ name: String) -> [UInt8] { Array("\(prefix)/\(name)".utf8) }
}

extension [UInt8] {
  /// The bytes as hexadecimal digits.
  fileprivate var hexadecimal: String {
    let digits = Array<UInt8>("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
