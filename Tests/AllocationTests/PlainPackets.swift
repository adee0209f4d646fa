// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPSimulator

/// Stand-in cryptography whose packet and header keys do nothing but copy, and allocate nothing.
struct PlainPackets: DerivedProvider {
  let base: any CryptoProvider = StandInCrypto()

  var name: String { "plain packets" }
  func fillRandom(_ bytes: inout MutableRawSpan) {
    var generator = SystemRandomNumberGenerator()
    for offset in 0..<bytes.byteCount {
      bytes.storeBytes(of: UInt8.random(in: 0...255, using: &generator), toByteOffset: offset, as: UInt8.self)
    }
  }
  func packetKey(_ key: Secret) -> any PacketKey { PlainPacketKey() }
  func headerKey(_ key: Secret) -> any HeaderKey { PlainHeaderKey() }
}

/// The tag is the counter, twice.
private final class PlainPacketKey: PacketKey {
  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    let size = plaintext.byteCount
    output.withUnsafeMutableBytes { output in
      plaintext.withUnsafeBytes { output.copyMemory(from: $0) }
      output.storeBytes(of: nonce.counter, toByteOffset: size, as: UInt64.self)
      output.storeBytes(of: nonce.counter, toByteOffset: size + 8, as: UInt64.self)
    }
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    message.withUnsafeBytes { message in
      message.loadUnaligned(fromByteOffset: message.count - 8, as: UInt64.self) == nonce.counter
    }
  }

  func makeStream() -> (any PacketStream)? { PlainPacketStream() }
}

private final class PlainPacketStream: PacketStream {
  private var counter: UInt64 = 0

  func begin(_ direction: PacketDirection, nonce: Nonce) { counter = nonce.counter }

  func update(_ input: RawSpan, into output: inout MutableRawSpan) {
    output.withUnsafeMutableBytes { output in input.withUnsafeBytes { output.copyMemory(from: $0) } }
  }

  func update(_ bytes: inout MutableRawSpan) {}

  func finish(writingTagTo tag: inout MutableRawSpan) {
    tag.storeBytes(of: counter, toByteOffset: 0, as: UInt64.self)
    tag.storeBytes(of: counter, toByteOffset: 8, as: UInt64.self)
  }

  func finish(expecting tag: RawSpan) -> Bool {
    tag.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == counter }
  }
}

private final class PlainHeaderKey: HeaderKey {
  func encrypt(_ block: inout MutableRawSpan) {}
  func decrypt(_ block: inout MutableRawSpan) {}
}
