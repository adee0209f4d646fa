// SPDX-License-Identifier: Apache-2.0

/// The sponge of FIPS 202 with any rate, for ``PlainKEM``. Its round constants come from the shift
/// register of the standard, so that nothing here is a copy of a table.
enum PlainKeccak {
  static func shake128(_ message: [UInt8], count: Int) -> [UInt8] {
    sponge(message, rate: 168, suffix: 0x1f, count: count)
  }
  static func shake256(_ message: [UInt8], count: Int) -> [UInt8] {
    sponge(message, rate: 136, suffix: 0x1f, count: count)
  }

  private static func sponge(_ message: [UInt8], rate: Int, suffix: UInt8, count: Int) -> [UInt8] {
    var padded = message + [suffix]
    padded += [UInt8](repeating: 0, count: (rate - padded.count % rate) % rate)
    padded[padded.count - 1] ^= 0x80
    var lanes = [UInt64](repeating: 0, count: 25)
    for start in stride(from: 0, to: padded.count, by: rate) {
      for index in 0..<rate { lanes[index / 8] ^= UInt64(padded[start + index]) << UInt64(8 * (index % 8)) }
      permute(&lanes)
    }
    var output: [UInt8] = []
    while true {
      for index in 0..<rate where output.count < count {
        output.append(UInt8(truncatingIfNeeded: lanes[index / 8] >> UInt64(8 * (index % 8))))
      }
      if output.count == count { return output }
      permute(&lanes)
    }
  }

  private static func permute(_ a: inout [UInt64]) {
    a.withUnsafeMutableBufferPointer { a in
      for round in 0..<24 {
        var parity: (UInt64, UInt64, UInt64, UInt64, UInt64)
        parity.0 = a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20]
        parity.1 = a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21]
        parity.2 = a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22]
        parity.3 = a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23]
        parity.4 = a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24]
        for y in stride(from: 0, to: 25, by: 5) {
          a[y] ^= parity.4 ^ turned(parity.1, by: 1)
          a[y + 1] ^= parity.0 ^ turned(parity.2, by: 1)
          a[y + 2] ^= parity.1 ^ turned(parity.3, by: 1)
          a[y + 3] ^= parity.2 ^ turned(parity.4, by: 1)
          a[y + 4] ^= parity.3 ^ turned(parity.0, by: 1)
        }
        var x = 1
        var y = 0
        var carried = a[1]
        for t in 0..<24 {
          (x, y) = (y, (2 * x + 3 * y) % 5)
          let displaced = a[x + 5 * y]
          a[x + 5 * y] = turned(carried, by: (t + 1) * (t + 2) / 2 % 64)
          carried = displaced
        }
        for y in stride(from: 0, to: 25, by: 5) {
          let row = (a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4])
          a[y] = row.0 ^ ~row.1 & row.2
          a[y + 1] = row.1 ^ ~row.2 & row.3
          a[y + 2] = row.2 ^ ~row.3 & row.4
          a[y + 3] = row.3 ^ ~row.4 & row.0
          a[y + 4] = row.4 ^ ~row.0 & row.1
        }
        a[0] ^= constants[round]
      }
    }
  }

  private static func turned(_ lane: UInt64, by count: Int) -> UInt64 {
    lane << UInt64(count) | lane >> UInt64(64 - count)
  }

  /// Algorithm 5 and step ι.
  private static let constants: [UInt64] = (0..<24).map { round in
    (0...6).reduce(0) { $0 | bit($1 + 7 * round) << (1 << $1 - 1) }
  }

  private static func bit(_ t: Int) -> UInt64 {
    var register: UInt16 = 1
    for _ in 0..<t % 255 {
      register <<= 1
      if register & 0x100 != 0 { register ^= 0x171 }
    }
    return UInt64(register & 1)
  }
}
