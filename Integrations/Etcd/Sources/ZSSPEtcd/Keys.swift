// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What the keys in etcd are called. Bytes are written in hexadecimal digits, for people with etcdctl.
struct Keys: Sendable {
  let prefix: String

  /// Says that there is a store.
  var head: [UInt8] { bytes("store") }
  /// What the keys of rows begin with.
  var peers: [UInt8] { bytes("peers/") }
  /// What the keys of the index begin with.
  var tags: [UInt8] { bytes("tags/") }
  /// What the keys of fences begin with.
  var fences: [UInt8] { bytes("fences/") }
  /// What all keys begin with.
  var all: [UInt8] { bytes("") }

  func peer(_ peer: PublicKey) -> [UInt8] { bytes("peers/\(peer.hexadecimal)") }

  /// What the entries of a tag begin with: one for each peer that has a state with this tag.
  func tag(_ tag: [UInt8]) -> [UInt8] { bytes("tags/\(tag.hexadecimal)/") }

  func tag(_ tag: [UInt8], _ peer: PublicKey) -> [UInt8] {
    bytes("tags/\(tag.hexadecimal)/\(peer.hexadecimal)")
  }

  func fence(_ name: [UInt8]) -> [UInt8] { bytes("fences/\(name.hexadecimal)") }

  /// The name of a store in the key of its fence; nil if it is no such key.
  func name(ofFence key: [UInt8]) -> [UInt8]? {
    guard key.count == fences.count + 32, key.starts(with: fences) else { return nil }
    return Self.bytes(hexadecimal: Array(key.suffix(32)))
  }

  /// What the marks of a store begin with, which has the fence of this name.
  func marks(_ name: [UInt8]) -> [UInt8] { bytes("marks/\(name.hexadecimal)/") }

  /// Says that a write was done, where its row cannot.
  func mark(_ name: [UInt8], _ write: [UInt8]) -> [UInt8] { marks(name) + Array(write.hexadecimal.utf8) }

  /// The peer at the end of a key.
  static func peer(in key: some Collection<UInt8>) -> PublicKey? {
    let digits = Array(key.suffix(2 * PublicKey.size))
    guard digits.count == 2 * PublicKey.size, let bytes = bytes(hexadecimal: digits) else { return nil }
    return PublicKey(bytes)
  }

  /// What digits stand for, of which there is an even number.
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
  /// Two digits for each byte.
  fileprivate var hexadecimal: String {
    let digits = Array<UInt8>("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
