// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

/// A packet in pieces is the same as in one.
@Suite("Packets piece by piece", .tags(.fast))
struct PacketStreamTests {
  /// Another provider, whose packet keys know no pieces.
  private struct WholeProvider: DerivedProvider {
    let base: any CryptoProvider

    func packetKey(_ key: Secret) -> any PacketKey { WholePacketKey(base: base.packetKey(key)) }
  }

  private final class WholePacketKey: PacketKey {
    private let base: any PacketKey
    init(base: any PacketKey) { self.base = base }

    func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
      base.seal(plaintext, nonce: nonce, authenticating: authenticating, into: &output)
    }
    func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
      base.open(&message, nonce: nonce, authenticating: authenticating)
    }
  }

  /// The providers of the build, and the tests' own.
  static let all: [any CryptoProvider] = providers + [FastCrypto(seed: 3)]

  @Test("however it is cut", arguments: all)
  func cuts(_ provider: any CryptoProvider) {
    var random = SplitMix64(seed: 4)
    let key = provider.packetKey(random.bytes(32).secret)
    guard let stream = key.makeStream() else { return }
    for (number, size) in (Array(0...80) + [255, 256, 257, 1400, 5000, 60_000]).enumerated() {
      let nonce = Nonce(type: 8, counter: UInt64(number))
      let plaintext = random.bytes(size)
      var whole = [UInt8](repeating: 0, count: size + 16)
      whole.withMutableBytes { key.seal(plaintext.rawBytes, nonce: nonce, authenticating: RawSpan(), into: &$0) }
      var cuts = [0, size]
      for _ in 0..<Int(random.next() % 8) { cuts.append(Int(random.next() % UInt64(size + 1))) }
      cuts.sort()

      var sealed = [UInt8](repeating: 0, count: size + 16)
      sealed.withMutableBytes { bytes in
        stream.begin(.sealing, nonce: nonce)
        for (start, end) in zip(cuts, cuts.dropFirst()) {
          var output = bytes.slice(start..<end)
          stream.update(plaintext.rawBytes.extracting(start..<end), into: &output)
        }
        var tag = bytes.slice(size..<size + 16)
        stream.finish(writingTagTo: &tag)
      }
      #expect(sealed == whole, "\(size) bytes at \(cuts)")

      // Every other piece where it lies. The key may be used in between.
      var opened = sealed
      var isRight = false
      opened.withMutableBytes { bytes in
        stream.begin(.opening, nonce: nonce)
        for (index, (start, end)) in zip(cuts, cuts.dropFirst()).enumerated() {
          var output = bytes.slice(start..<end)
          if index % 2 == 0 {
            stream.update(&output)
          } else {
            stream.update(sealed.rawBytes.extracting(start..<end), into: &output)
          }
          var other = [UInt8](repeating: 0, count: 17)
          other.withMutableBytes {
            key.seal([1].rawBytes, nonce: Nonce(type: 8, counter: 99), authenticating: RawSpan(), into: &$0)
          }
        }
        isRight = stream.finish(expecting: sealed.rawBytes.extracting(size..<size + 16))
      }
      #expect(isRight && opened.prefix(size).elementsEqual(plaintext), "\(size) bytes at \(cuts)")
    }
  }

  @Test("a changed bit anywhere is refused, and the next packet is not affected", arguments: all)
  func changed(_ provider: any CryptoProvider) {
    var random = SplitMix64(seed: 5)
    let key = provider.packetKey(random.bytes(32).secret)
    guard let stream = key.makeStream() else { return }
    let nonce = Nonce(type: 8, counter: 1)
    let plaintext = random.bytes(100)
    var sealed = [UInt8](repeating: 0, count: 116)
    sealed.withMutableBytes { key.seal(plaintext.rawBytes, nonce: nonce, authenticating: RawSpan(), into: &$0) }
    func opens(_ message: [UInt8], tagSize: Int = 16) -> Bool {
      var bytes = message
      return bytes.withMutableBytes { bytes in
        stream.begin(.opening, nonce: nonce)
        var body = bytes.slice(0..<100)
        stream.update(&body)
        return stream.finish(expecting: bytes.bytes.extracting(100..<100 + tagSize))
      }
    }
    for index in sealed.indices {
      var forged = sealed
      forged[index] ^= 0x10
      #expect(!opens(forged), "byte \(index)")
    }
    #expect(!opens(sealed, tagSize: 15) && !opens(sealed, tagSize: 0))
    #expect(opens(sealed))
  }

  /// A message that is sealed in pieces can be opened in one, and the other way round.
  @Test("messages around the boundaries of fragments arrive", arguments: all, [128, 1400])
  func boundaries(_ provider: any CryptoProvider, _ mtu: Int) throws {
    var settings = Settings()
    settings.mtu = mtu
    let pair = try Pair(provider: provider, settings: settings, providerOfBob: WholeProvider(base: provider))
    let (one, other) = try pair.establish()
    var random = SplitMix64(seed: 6)
    let room = mtu - FragmentHeader.size
    for count in [1, 2, 3, 17, 47, 48] {
      for difference in -18...18 {
        let size = count * room - PacketSize.tag + difference
        guard size >= 0, size <= settings.largestMessage else { continue }
        let message = random.bytes(size)
        try pair.alice.send(message, on: one, at: pair.now)
        try pair.bob.send(message, on: other, at: pair.now)
        let datagrams = pair.intercept()
        // In order, and in any.
        for datagram in difference % 2 == 0 ? datagrams : datagrams.shuffled(using: &random) { pair.deliver(datagram) }
        #expect(pair.bob.messages.last?.bytes == message && pair.alice.messages.last?.bytes == message, "\(size) bytes")
      }
    }
    #expect(pair.alice.statistics.dropped == 0 && pair.bob.statistics.dropped == 0)
    #expect(pair.bob.messages.count == pair.alice.messages.count)
  }

  // [DEC-23]
  @Test("a message with a changed bit in any fragment is not delivered", arguments: all)
  func forgedFragment(_ provider: any CryptoProvider) throws {
    var settings = Settings()
    settings.mtu = 200
    let pair = try Pair(provider: provider, settings: settings)
    let (one, _) = try pair.establish()
    for (number, place) in [(0, 30), (1, 21), (2, 100), (3, -1), (3, -16), (3, -17)].enumerated() {
      try pair.alice.send([UInt8](repeating: 5, count: 700), on: one, at: pair.now)
      var datagrams = pair.intercept()
      #expect(datagrams.count == 4)
      let size = datagrams[place.0].bytes.count
      datagrams[place.0].bytes[place.1 < 0 ? size + place.1 : place.1] ^= 1
      for datagram in datagrams { pair.deliver(datagram) }
      #expect(pair.bob.messages.isEmpty && pair.bob.statistics[.notAuthentic] == UInt64(number + 1))
    }
    #expect(pair.bob.diagnostics.reassemblyBytes == 0)
    try pair.alice.send([UInt8](repeating: 5, count: 700), on: one, at: pair.now)
    pair.settle()
    #expect(pair.bob.messages.count == 1)
  }

  @Test("messages whose fragments come in turns", arguments: all)
  func interleaved(_ provider: any CryptoProvider) throws {
    var settings = Settings()
    settings.mtu = 300
    let pair = try Pair(provider: provider, settings: settings)
    let (one, _) = try pair.establish()
    var random = SplitMix64(seed: 8)
    let messages = (0..<10).map { random.bytes(1000 + $0) }
    for message in messages { try pair.alice.send(message, on: one, at: pair.now) }
    for datagram in pair.intercept().shuffled(using: &random) { pair.deliver(datagram) }
    #expect(Set(pair.bob.messages.map(\.bytes)) == Set(messages) && pair.bob.messages.count == 10)
  }
}
