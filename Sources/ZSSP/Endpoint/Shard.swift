// SPDX-License-Identifier: Apache-2.0

/// Which of several endpoints of one host an endpoint is, written into the low bits of each key id that it hands out.
///
/// The peer puts the key id in front of every datagram, as a big-endian integer of four bytes, so whoever gives out datagrams finds
/// the shard without a table: it is the low bits of the fourth byte, byte 3. A classic BPF program for `SO_ATTACH_REUSEPORT_CBPF` finds it with
/// `BPF_LD|BPF_W|BPF_ABS` at offset 0, which loads those four bytes as the same integer, and `BPF_ALU|BPF_AND|BPF_K` with `count - 1`.
/// Datagrams of strangers (Hellos and challenges) begin with key id 0 and belong to whichever shard is given them. All
/// fragments of a Hello must come to the same: steer them by their source.
public struct Shard: Sendable, Hashable {
  /// Which one, 0..<``count``.
  public var index: Int
  /// How many there are: 1, 2, 4, … ``largestCount``.
  public var count: Int

  /// The most shards of one host.
  public static let largestCount = 256
  /// An endpoint that is the only one.
  public static let only = Shard(0, of: 1)

  /// Shard `index` of `count`. What cannot be is found out when an endpoint is made with it.
  public init(_ index: Int, of count: Int) { (self.index, self.count) = (index, count) }

  /// How many low bits say which one.
  var bits: Int { count.trailingZeroBitCount }

  /// Whether there can be so many shards, and this one of them.
  public var isValid: Bool {
    1...Self.largestCount ~= count && count.nonzeroBitCount == 1 && 0..<count ~= index
  }
}

/// Which bits of the key ids of an endpoint are given, and how many ids that leaves.
struct KeyIDPattern: Sendable {
  /// So many low bits are those of the shard.
  let shardBits: Int
  private let fixed: UInt32
  private let random: UInt32
  /// Sessions and half-open handshakes at most. Each uses up to four ids, so that never more than half of them are in
  /// use: a random one is free with a probability of one half at least.
  let ownerLimit: Int

  init(_ settings: Settings) {
    let (shard, nodeBits) = (settings.shard, settings.nodeBits)
    shardBits = shard.bits
    // [DEC-21]
    fixed = UInt32(shard.index) | UInt32(truncatingIfNeeded: settings.node << (32 - nodeBits))
    random = (UInt32.max >> UInt32(nodeBits + shard.bits)) << UInt32(shard.bits)
    // [DEC-22]
    ownerLimit = 1 << (32 - nodeBits - shard.bits - 3)
  }

  /// The id with the random bits of `value`.
  func keyID(_ value: UInt32) -> KeyID { KeyID(value: value & random | fixed) }
}
