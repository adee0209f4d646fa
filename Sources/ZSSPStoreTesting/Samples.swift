// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// Sample peers and states. The same number gives the same one.
enum Samples {
  /// The number of peers.
  static let peerCount = 2 * coordinates.count

  /// Returns a peer of `0..<peerCount`: a point of P-384, because a store may require that.
  static func peer(_ number: Int) -> PublicKey {
    let coordinate = coordinates[number / 2 % coordinates.count]
    var bytes: [UInt8] = [number % 2 == 0 ? 2 : 3]
    var rest = Substring(coordinate)
    while let byte = UInt8(rest.prefix(2), radix: 16) {
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    guard let peer = PublicKey(bytes) else { preconditionFailure("the table of points below is damaged") }
    return peer
  }

  /// Returns a state whose key and fingerprint differ from those of every other number.
  static func state(_ number: UInt64, chainLength: UInt64? = nil) -> RatchetState {
    var random = SplitMix64(seed: number &* 2 &+ 1)
    let key = random.bytes(32)
    let fingerprint = random.bytes(32)
    return RatchetState(
      key: Secret(copying: key.rawBytes), fingerprint: Fingerprint(fingerprint.rawBytes),
      chainLength: chainLength ?? number)
  }

  /// The x-coordinates of the first multiples of the base point. Each belongs to two points.
  private static let coordinates = [
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    "08d999057ba3d2d969260045c55b97f089025959a6f434d651d207d19fb96e9e4fe0e86ebe0e64f85b96a9c75295df61",
    "077a41d4606ffa1464793c7e5fdc7d98cb9d3910202dcd06bea4f240d3566da6b408bbae5026580d02d7e5c70500c831",
    "138251cd52ac9298c1c8aad977321deb97e709bd0b4ca0aca55dc8ad51dcfc9d1589a1597e3a5120e1efd631c63e1835",
    "11de24a2c251c777573cac5ea025e467f208e51dbff98fc54f6661cbe56583b037882f4a1ca297e60abcdbc3836d84bc",
    "627be1acd064d2b2226fe0d26f2d15d3c33ebcbb7f0f5da51cbd41f26257383021317d7202ff30e50937f0854e35c5df",
    "283c1d7365ce4788f29f8ebf234edffead6fe997fbea5ffa2d58cc9dfa7b1c508b05526f55b9ebb2040f05b48fb6d0e1",
    "1692778ea596e0be75114297a6fa383445bf227fbe58190a900c3c73256f11fb5a3258d6f403d5ece6e9b269d822c87d",
  ]
}
