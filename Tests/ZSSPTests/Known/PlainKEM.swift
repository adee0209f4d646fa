// SPDX-License-Identifier: Apache-2.0
import Crypto
import ZSSP

/// ML-KEM-1024 (FIPS 203) and Kyber1024 of the third round, plainly: to take what no provider does,
/// an expanded private key and given randomness. It follows the algorithms of FIPS 203 by their
/// numbers, without a thought for time or for secrets, and is itself held against the known
/// answers.
struct PlainKEM {
  let algorithm: ZSSP.KEM

  private static let q = 3329
  private static let k = 4

  /// Algorithm 16: the encapsulation key and the expanded decapsulation key. Round 3 hashes `d`
  /// alone.
  func keys(d: [UInt8], z: [UInt8]) -> (encapsulation: [UInt8], decapsulation: [UInt8]) {
    let seed = Self.g(algorithm == .mlkem1024 ? d + [UInt8(Self.k)] : d)
    let rho = [UInt8](seed[..<32])
    let sigma = [UInt8](seed[32...])
    let s = (0..<Self.k).map { Self.ntt(Self.binomial(sigma, nonce: $0)) }
    let e = (0..<Self.k).map { Self.ntt(Self.binomial(sigma, nonce: Self.k + $0)) }
    let t = (0..<Self.k).map { i in
      Self.add(Self.dot((0..<Self.k).map { Self.uniform(rho, $0, i) }, s), e[i])
    }
    let encapsulation = t.flatMap { Self.encode($0, width: 12) } + rho
    return (encapsulation, s.flatMap { Self.encode($0, width: 12) } + encapsulation + Self.h(encapsulation) + z)
  }

  /// Algorithm 17 with the randomness `m`. Round 3 hashes it first.
  func encapsulate(to key: [UInt8], m: [UInt8]) -> (ciphertext: [UInt8], secret: [UInt8]) {
    let message = algorithm == .mlkem1024 ? m : Self.h(m)
    let derived = Self.g(message + Self.h(key))
    let ciphertext = Self.encrypt(key, message: message, randomness: [UInt8](derived[32...]))
    return (ciphertext, secret(of: [UInt8](derived[..<32]), ciphertext))
  }

  /// Algorithm 18, under an expanded key of 3168 bytes.
  func decapsulate(_ ciphertext: [UInt8], with key: [UInt8]) -> [UInt8] {
    let s = [UInt8](key[..<1536])
    let encapsulation = [UInt8](key[1536..<3104])
    let hash = [UInt8](key[3104..<3136])
    let z = [UInt8](key[3136...])
    let message = Self.decrypt(s, ciphertext: ciphertext)
    let derived = Self.g(message + hash)
    let accepted = Self.encrypt(encapsulation, message: message, randomness: [UInt8](derived[32...])) == ciphertext
    if accepted { return secret(of: [UInt8](derived[..<32]), ciphertext) }
    return algorithm == .mlkem1024 ? Self.shake(z, ciphertext, count: 32) : secret(of: z, ciphertext)
  }

  /// Round 3 hashes the secret with the ciphertext.
  private func secret(of key: [UInt8], _ ciphertext: [UInt8]) -> [UInt8] {
    algorithm == .mlkem1024 ? key : Self.shake(key, Self.h(ciphertext), count: 32)
  }

  // MARK: K-PKE

  private static func encrypt(_ key: [UInt8], message: [UInt8], randomness: [UInt8]) -> [UInt8] {
    let rho = [UInt8](key[1536...])
    let t = (0..<k).map { decode([UInt8](key[384 * $0..<384 * $0 + 384]), width: 12) }
    let y = (0..<k).map { ntt(binomial(randomness, nonce: $0)) }
    let u = (0..<k).map { i in
      add(inverse(dot((0..<k).map { uniform(rho, i, $0) }, y)), binomial(randomness, nonce: k + i))
    }
    let point = decode(message, width: 1).map { $0 * ((q + 1) / 2) }
    let v = add(add(inverse(dot(t, y)), binomial(randomness, nonce: 2 * k)), point)
    return u.flatMap { encode(compress($0, width: 11), width: 11) } + encode(compress(v, width: 5), width: 5)
  }

  private static func decrypt(_ key: [UInt8], ciphertext: [UInt8]) -> [UInt8] {
    let s = (0..<k).map { decode([UInt8](key[384 * $0..<384 * $0 + 384]), width: 12) }
    let u = (0..<k).map { ntt(expand(decode([UInt8](ciphertext[352 * $0..<352 * $0 + 352]), width: 11), width: 11)) }
    let v = expand(decode([UInt8](ciphertext[1408...]), width: 5), width: 5)
    let w = zip(v, inverse(dot(s, u))).map { ($0 - $1 + q) % q }
    return encode(compress(w, width: 1), width: 1)
  }

  // MARK: Polynomials

  private static func power(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { value, _ in value * 17 % q } }
  private static func reversed(_ index: Int) -> Int { (0..<7).reduce(0) { $0 << 1 | index >> $1 & 1 } }
  private static let zeta = (0..<128).map { power(reversed($0)) }
  private static let gamma = (0..<128).map { power(2 * reversed($0) + 1) }

  private static func ntt(_ input: [Int]) -> [Int] {
    var f = input
    var index = 1
    var size = 128
    while size >= 2 {
      for start in stride(from: 0, to: 256, by: 2 * size) {
        for j in start..<start + size {
          let t = zeta[index] * f[j + size] % q
          f[j + size] = (f[j] - t + q) % q
          f[j] = (f[j] + t) % q
        }
        index += 1
      }
      size /= 2
    }
    return f
  }

  private static func inverse(_ input: [Int]) -> [Int] {
    var f = input
    var index = 127
    var size = 2
    while size <= 128 {
      for start in stride(from: 0, to: 256, by: 2 * size) {
        for j in start..<start + size {
          let t = f[j]
          f[j] = (t + f[j + size]) % q
          f[j + size] = zeta[index] * (f[j + size] - t + q) % q
        }
        index -= 1
      }
      size *= 2
    }
    return f.map { $0 * 3303 % q }
  }

  private static func dot(_ a: [[Int]], _ b: [[Int]]) -> [Int] {
    zip(a, b).reduce([Int](repeating: 0, count: 256)) { add($0, multiply($1.0, $1.1)) }
  }

  private static func multiply(_ a: [Int], _ b: [Int]) -> [Int] {
    (0..<128).flatMap { i in
      let a0 = a[2 * i]
      let a1 = a[2 * i + 1]
      let b0 = b[2 * i]
      let b1 = b[2 * i + 1]
      return [(a0 * b0 + a1 * b1 % q * gamma[i]) % q, (a0 * b1 + a1 * b0) % q]
    }
  }

  private static func add(_ a: [Int], _ b: [Int]) -> [Int] { zip(a, b).map { ($0 + $1) % q } }

  private static func encode(_ f: [Int], width: Int) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 32 * width)
    for (index, value) in f.enumerated() {
      for bit in 0..<width where value >> bit & 1 == 1 {
        output[(index * width + bit) / 8] |= 1 << UInt8((index * width + bit) % 8)
      }
    }
    return output
  }

  private static func decode(_ bytes: [UInt8], width: Int) -> [Int] {
    (0..<256).map { index in
      (0..<width).reduce(0) { value, bit in
        let position = index * width + bit
        return value | Int(bytes[position / 8] >> UInt8(position % 8) & 1) << bit
      }
    }
  }

  private static func compress(_ f: [Int], width: Int) -> [Int] {
    f.map { (($0 << width) + q / 2) / q & (1 << width - 1) }
  }

  private static func expand(_ f: [Int], width: Int) -> [Int] { f.map { ($0 * q + 1 << (width - 1)) >> width } }

  // MARK: Sampling and hashing

  private static func uniform(_ rho: [UInt8], _ j: Int, _ i: Int) -> [Int] {
    let stream = PlainKeccak.shake128(rho + [UInt8(j), UInt8(i)], count: 168 * 6)
    var found: [Int] = []
    for at in stride(from: 0, to: stream.count, by: 3) {
      let b0 = Int(stream[at])
      let b1 = Int(stream[at + 1])
      let b2 = Int(stream[at + 2])
      found += [b0 | (b1 & 15) << 8, b1 >> 4 | b2 << 4].filter { $0 < q }
    }
    precondition(found.count >= 256, "1008 bytes give 256 coefficients, but for one seed in a great many")
    return [Int](found[..<256])
  }

  private static func binomial(_ key: [UInt8], nonce: Int) -> [Int] {
    let bytes = shake(key, [UInt8(nonce)], count: 128)
    return (0..<256).map { index in
      let nibble = Int(bytes[index / 2] >> UInt8(4 * (index % 2)))
      return ((nibble & 1) + (nibble >> 1 & 1) - (nibble >> 2 & 1) - (nibble >> 3 & 1) + q) % q
    }
  }

  static func h(_ bytes: [UInt8]) -> [UInt8] { [UInt8](SHA3_256.hash(data: bytes)) }
  private static func g(_ bytes: [UInt8]) -> [UInt8] { [UInt8](SHA3_512.hash(data: bytes)) }
  private static func shake(_ first: [UInt8], _ second: [UInt8], count: Int) -> [UInt8] {
    PlainKeccak.shake256(first + second, count: count)
  }
}
