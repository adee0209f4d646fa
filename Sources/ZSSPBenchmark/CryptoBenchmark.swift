// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The provider's packet primitives alone, called as by the protocol.
public enum CryptoBenchmark {
  /// Measures AES-256-GCM for packets of 64, 1400 and 60,000 bytes, and for header blocks.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) -> [Figure] {
    var figures: [Figure] = []
    for size in [64, 1400, 60_000] {
      var seal = [Double]()
      var open = [Double]()
      for _ in 0..<effort.rounds {
        let raw = RawPacketCost(provider, size: size)
        seal.append(raw.seal(effort))
        open.append(raw.open(effort))
      }
      figures.append(Figure("crypto", name: "seal \(size) bytes", rounds: seal, unit: "ns"))
      figures.append(Figure("crypto", name: "open \(size) bytes", rounds: open, unit: "ns"))
    }
    let key = provider.headerKey(.zeros(32))
    var bytes = [UInt8](repeating: 0, count: 64 * 100)
    let blocks = (0..<effort.rounds).map { _ in
      effort.nanoseconds(per: 64) {
        bytes.withUnsafeMutableBytes { buffer in
          var span = MutableRawSpan(_unsafeBytes: buffer)
          key.encrypt(&span, stride: 100, count: 64)
        }
      }
    }
    figures.append(Figure("crypto", name: "header block, 64 at once", rounds: blocks, unit: "ns"))
    return figures
  }
}

/// The cost of sealing and opening packets of one size, without the protocol.
struct RawPacketCost {
  private static let count = 64
  private let key: any PacketKey
  private let size: Int

  init(_ provider: any CryptoProvider, size: Int) {
    key = provider.packetKey(provider.random(32))
    self.size = size
  }

  /// Returns the nanoseconds to seal one packet, each into its own buffer.
  func seal(_ effort: BenchmarkEffort) -> Double {
    let plaintext = [UInt8](repeating: 7, count: size)
    var output = [UInt8](repeating: 0, count: (size + 16) * Self.count)
    var counter: UInt64 = 0
    return effort.nanoseconds(per: Self.count) {
      output.withUnsafeMutableBytes { buffer in
        for index in 0..<Self.count {
          let place = UnsafeMutableRawBufferPointer(rebasing: buffer[index * (size + 16)..<(index + 1) * (size + 16)])
          var span = MutableRawSpan(_unsafeBytes: place)
          key.seal(
            plaintext.span.bytes, nonce: Nonce(type: 8, counter: counter), authenticating: RawSpan(), into: &span)
          counter += 1
        }
      }
    }
  }

  /// Returns the nanoseconds to open one packet in place. Restoring the overwritten packet is not
  /// counted.
  func open(_ effort: BenchmarkEffort) -> Double {
    let plaintext = [UInt8](repeating: 7, count: size)
    let stride = size + 16
    var sealed = [UInt8](repeating: 0, count: stride * Self.count)
    sealed.withUnsafeMutableBytes { buffer in
      for index in 0..<Self.count {
        let place = UnsafeMutableRawBufferPointer(rebasing: buffer[index * stride..<(index + 1) * stride])
        var span = MutableRawSpan(_unsafeBytes: place)
        key.seal(
          plaintext.span.bytes, nonce: Nonce(type: 8, counter: UInt64(index)), authenticating: RawSpan(), into: &span)
      }
    }
    var work = sealed
    func restore() { work.withUnsafeMutableBytes { work in sealed.withUnsafeBytes { work.copyMemory(from: $0) } } }
    let both = effort.nanoseconds(per: Self.count) {
      restore()
      work.withUnsafeMutableBytes { buffer in
        for index in 0..<Self.count {
          let place = UnsafeMutableRawBufferPointer(rebasing: buffer[index * stride..<(index + 1) * stride])
          var span = MutableRawSpan(_unsafeBytes: place)
          _ = key.open(&span, nonce: Nonce(type: 8, counter: UInt64(index)), authenticating: RawSpan())
        }
      }
    }
    return max(1, both - effort.nanoseconds(per: Self.count, restore))
  }
}
