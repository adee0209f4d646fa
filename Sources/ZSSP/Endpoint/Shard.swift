// SPDX-License-Identifier: Apache-2.0

/// The position of an endpoint among several of one host, which is in the low bits of each key id
/// that it issues.
///
/// The peer puts the key id in front of every datagram, as a big-endian integer of four bytes, so a
/// dispatcher finds the shard without a table: it is the low bits of the fourth byte, byte 3. A
/// classic BPF program for `SO_ATTACH_REUSEPORT_CBPF` finds it with `BPF_LD|BPF_W|BPF_ABS` at
/// offset 0, which loads those four bytes as the same integer, and `BPF_ALU|BPF_AND|BPF_K` with
/// `count - 1`. Datagrams of strangers (Hellos and challenges) begin with key id 0 and can go to
/// any shard. All fragments of a Hello must reach the same one: steer them by their source.
public struct Shard: Sendable, Hashable {
  /// The number of this shard, 0..<``count``.
  public var index: Int
  /// The number of shards: 1, 2, 4, … ``largestCount``.
  public var count: Int

  /// The most shards of one host.
  public static let largestCount = 256
  /// The shard of a single endpoint.
  public static let only = Shard(0, of: 1)

  /// Creates shard `index` of `count`. An endpoint checks both when it is created.
  public init(_ index: Int, of count: Int) {
    self.index = index
    self.count = count
  }

  /// The number of low bits that hold the shard.
  var bits: Int { count.trailingZeroBitCount }

  /// True if the count is allowed, and the index is below it.
  public var isValid: Bool {
    1...Self.largestCount ~= count && count.nonzeroBitCount == 1 && 0..<count ~= index
  }
}

/// The bits of an endpoint's key ids that are fixed, and the number of ids that this leaves.
struct KeyIDPattern: Sendable {
  /// The number of low bits that hold the shard.
  let shardBits: Int
  private let fixed: UInt32
  private let random: UInt32
  /// The largest number of sessions and half-open handshakes. Each uses up to four ids, so at most
  /// half of the ids are in use: a random one is free with a probability of at least one half.
  let ownerLimit: Int

  init(_ settings: Settings) {
    let shard = settings.shard
    let nodeBits = settings.nodeBits
    shardBits = shard.bits
    // [DEC-21]
    fixed = UInt32(shard.index) | UInt32(truncatingIfNeeded: settings.node << (32 - nodeBits))
    random = (UInt32.max >> UInt32(nodeBits + shard.bits)) << UInt32(shard.bits)
    // [DEC-22]
    ownerLimit = 1 << (32 - nodeBits - shard.bits - 3)
  }

  /// Returns the id with the random bits of `value`.
  func keyID(_ value: UInt32) -> KeyID { KeyID(value: value & random | fixed) }
}
