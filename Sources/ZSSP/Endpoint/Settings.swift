// SPDX-License-Identifier: Apache-2.0

/// The durations, sizes and limits of an endpoint. The defaults are those of the specification.
/// Peers may have different ones.
public struct Settings: Sendable, Hashable {
  /// The largest datagram in bytes, including the headers of ZSSP but not those of UDP and IP. The
  /// default is 1400, the minimum ``smallestMTU``. Handshakes use at most 1,200 bytes of it.
  public var mtu = 1400
  // [DEC-85]
  /// The largest datagram of a handshake in bytes, if ``mtu`` is not smaller. Nearly every path
  /// accepts 1200 bytes, so handshakes succeed before the limit of the path is known. Recorded
  /// transcripts of other implementations have larger ones.
  package var handshakeMTU = 1200
  // [TIME-1] [TIME-13]
  /// The time after which an unanswered packet is resent (section 11). The default is 1 s.
  public var resendInterval: Duration = .seconds(1)
  // [TIME-13]
  /// The time after which a handshake in A1 or A3 restarts, and one in B2 is forgotten (section
  /// 11). The default is 10 s.
  public var handshakeTimeout: Duration = .seconds(10)
  // [TIME-13]
  /// The time after which a session in S1, R1 or R2 ends (section 11). The default is 60 s.
  public var rekeyTimeout: Duration = .seconds(60)
  // [TIME-13]
  /// The largest age of a key before it is replaced (section 11). The default is one hour.
  public var rekeyAfter: Duration = .seconds(3600)
  // [TIME-13]
  /// The largest random time that is subtracted from ``rekeyAfter``; less than ``rekeyAfter``
  /// (section 11). The default is 600 s.
  public var rekeyJitter: Duration = .seconds(600)
  // [DEC-39]
  /// The time for which the previous key is still accepted for late packets, after the peer has
  /// confirmed the new one. Then it is erased (section 14). The default is 60 s.
  public var previousKeyLifetime: Duration = .seconds(60)
  // [DEC-34]
  /// The number of re-keys that the peer of a session can begin one right after another. Each costs
  /// public-key work and a durable swap. Further K1s are dropped; the peer resends them every
  /// ``resendInterval``. ``Endpoint/rekey(_:at:)`` has the same limit. The default is 8.
  public var rekeyBurst = 8
  // [DEC-34]
  /// The time after which the peer of a session can begin one more re-key, beyond ``rekeyBurst``.
  /// The default is 10 s. At most half of ``rekeyAfter`` is used, so that peers that re-key often
  /// by their timers always can. At most half of ``rekeyTimeout`` is used, because a peer whose K1
  /// is dropped resends it, and would end the session after that time.
  public var rekeyRefill: Duration = .seconds(10)
  // [DEC-83]
  /// The time without a packet from its peer after which a session probes it, less up to a quarter
  /// at random. A peer that does not answer is probed again after ``resendInterval``, then twice
  /// that, and so on, at most after this time. While both sides send, no probes are sent. Nil, the
  /// default, is never (section 14).
  public var keepAlive: Duration?
  /// The time without a packet from its peer after which a session ends; longer than ``keepAlive``.
  /// Nil, the default, is never. An unused session does not end: without ``keepAlive`` its peer is
  /// probed in the last three ``resendInterval``s before the time is over, or in the last half of
  /// the time if that is shorter (section 14).
  public var idleTimeout: Duration?
  // [DEC-4]
  /// The number of X2 that the initiator, and of X3 that the responder, reads in one handshake
  /// until one is authentic. Each costs public-key work. If none is, the initiator restarts, and
  /// the responder forgets the handshake. An observer can forge the rest of a packet behind its
  /// header, and this must not end the handshake. Sections 6 and 11 prescribe 1 (see section 14).
  /// The default is 4.
  public var bodiesPerHandshake = 4
  // [FRAG-16]
  /// The time for which an incomplete packet is kept (section 5). The default is 5 s.
  public var reassemblyTimeout: Duration = .seconds(5)
  // [CTR-11]
  // [CTR-10]
  /// The number of uses of a key at which a re-key starts at once; less than ``keyUseLimit``
  /// (section 4). The difference is for messages and copies of re-key packets that are sent before
  /// there is a new key. The default is 2^30.
  public var rekeyUses: UInt64 = 1 << 30
  /// The number of uses of a key at which the session ends; more than ``rekeyUses``, at most 2^32 −
  /// 1, the default (section 4).
  public var keyUseLimit: UInt64 = (1 << 32) - 1
  // [DEC-24] [FRAG-12]
  /// The largest number of half-open handshakes. When it is exceeded, the oldest handshake that
  /// waits for X3 is evicted, of the source with most of them (section 5). The default, 2048, is
  /// above the number that the default ``HelloPolicy`` admits within ``handshakeTimeout``: a flood
  /// within that budget evicts no handshake whose X3 is still under way. Each takes some kilobytes,
  /// and up to 16 KiB more while its X3 is incomplete, within ``totalReassemblyBytes``.
  public var halfOpenLimit = 2048
  /// The largest number of Hellos with public-key work under way, if the policy has a budget: X1s
  /// that are read and X2s that are written. Others wait or are challenged. A driver should accept
  /// as many items at once and refuse none. The default is 32.
  public var helloWorkLimit = 32
  // [FRAG-9]
  /// The largest number of incomplete Hellos, of all strangers together. When it is exceeded, the
  /// oldest of the source with most of them is evicted (section 5). The default is 32.
  public var helloLimit = 32
  /// The largest number of fragments of incomplete Hellos (section 5). The default is 1024.
  public var helloFragmentLimit = 1024
  // [FRAG-13]
  /// The largest number of incomplete packets of one session (section 5). The default is 64.
  public var reassemblyPackets = 64
  /// The largest size of the incomplete packets of one session, in bytes. The default is 1 MiB. A
  /// packet of the largest size for the MTU always fits, whatever the value.
  public var reassemblyBytes = 1 << 20
  // [DEC-40]
  /// The largest size of the incomplete packets of all sessions and half-open handshakes together,
  /// in bytes. The default is 64 MiB. When it is exceeded, packets are evicted from the session
  /// that holds most (section 14). A packet of the largest size for the MTU always fits, whatever
  /// the value. Incomplete Hellos are limited by ``helloLimit``.
  public var totalReassemblyBytes = 64 << 20
  /// The largest number of sessions whose keys stay expanded. Keys of other sessions are expanded
  /// for each use, which costs some hundred nanoseconds. With a provider that caches expanded keys
  /// such a session takes up to about 4 KiB more, so this bounds the memory. Nil, the default, is
  /// the provider's ``CryptoProvider/usualExpandedKeys``.
  public var expandedKeys: Int?
  /// The time for which the keys of a session stay expanded after a message was sent or received on
  /// it. ``Endpoint/advance(to:)`` evicts them within about twice this time, and they are expanded
  /// again for the next use. The default is 10 s.
  public var expandedKeyTimeout: Duration = .seconds(10)
  /// The position of this endpoint among those of one host, which is in the low bits of its key
  /// ids. The default is the only one.
  public var shard = Shard.only
  /// The number of the highest bits of the key ids that hold the ``node``, 0 to 16; together with
  /// those of the shard at most ``largestFixedBits``. The default is 0. With 8, a load balancer in
  /// front of several hosts finds the host in the first byte of each datagram, except those of
  /// strangers, whose first four bytes are 0. Every fixed bit halves the number of sessions that an
  /// endpoint can hold: `2^(29 - bits)`, which is 8192 with 16 and 536 million with none.
  public var nodeBits = 0
  /// The number of the host in the highest bits of the key ids, 0..<`2^nodeBits`. The default is 0.
  public var node = 0

  /// The largest number of fixed bits in a key id. The others are random, so that they cannot be
  /// guessed.
  public static let largestFixedBits = 16
  // [FRAG-4]
  /// The smallest MTU in bytes (section 5).
  public static let smallestMTU = 128
  // [DEC-87]
  /// The smallest limit of a path, in bytes of a datagram: 1280, the smallest MTU of an IPv6 link,
  /// less the headers of IPv6 and UDP.
  public static let smallestDatagramLimit = 1232
  /// The largest MTU in bytes: the largest UDP payload over IPv4.
  public static let largestMTU = 65_507

  /// Creates the default settings.
  public init() {}

  /// The longest message in bytes: `48·(mtu − 16) − 16`.
  public var largestMessage: Int { FragmentPlan.largestMessage(mtu: mtu) }

  /// The ``reassemblyBytes``, but at least enough for a packet of ``largestMessage``.
  package var reassemblyLimit: Int { max(reassemblyBytes, reassemblyShare) }
  /// The size of one incomplete packet of ``largestMessage``, in bytes. A session that holds no
  /// more is not the first to be evicted from.
  package var reassemblyShare: Int { PacketAssembly.largestCapacity(mtu: mtu) }
  /// The ``totalReassemblyBytes``, but at least enough for a packet of ``largestMessage``.
  package var totalReassemblyLimit: Int { max(totalReassemblyBytes, reassemblyShare) }
  // [DEC-34]
  /// The limit on the rate of re-keys.
  var rekeyPace: TokenBucket.Rate {
    TokenBucket.Rate(burst: rekeyBurst, refill: min(rekeyRefill, min(rekeyAfter, rekeyTimeout) / 2))
  }
}

/// The parts that an endpoint is created with.
public struct EndpointConfiguration: Sendable {
  /// The endpoint's static key.
  public var staticKey: any AgreementPrivateKey
  /// The source of cryptography.
  public var provider: any CryptoProvider
  /// The variant of the protocol; both ends must have the same.
  public var profile: Profile
  // [MODE-7]
  /// ``SecurityFlags/helloRequiresRatchet`` of the endpoint, and the flags of sessions that this
  /// side opens without flags of their own.
  public var flags: SecurityFlags
  /// The condition that Hellos must meet.
  public var helloPolicy: HelloPolicy
  /// Durations, sizes and limits.
  public var settings: Settings
  /// The directory that endpoints share which have one static key, one store and one process, as
  /// shards do. Nil, the default, for a single endpoint.
  public var directory: PeerDirectory?
  /// The receiver of records of handshakes and control packets; nil, the default, to keep none. The
  /// driver must pass it those of ``Endpoint/takeTrace()`` after each input.
  package var trace: (any TraceSink)?
  #if KeyLog
    /// The receiver of the keys of all sessions. Nil, the default, for none.
    public var keyLog: KeyLog?
  #endif

  /// Creates a configuration of the given parts.
  public init(
    staticKey: any AgreementPrivateKey, provider: some CryptoProvider, profile: Profile = .kyber1024,
    flags: SecurityFlags = .opportunistic, helloPolicy: HelloPolicy = .automatic(), settings: Settings = Settings()
  ) {
    self.staticKey = staticKey
    self.provider = provider
    self.profile = profile
    self.flags = flags
    self.helloPolicy = helloPolicy
    self.settings = settings
  }
}

/// The reason why a configuration is invalid.
public enum ConfigurationError: Error, Equatable {
  /// The MTU is not within ``Settings/smallestMTU``…``Settings/largestMTU``.
  case mtuOutOfRange(Int)
  /// The named setting must be greater than zero; a duration must be at least a nanosecond.
  case notPositive(String)
  /// ``Settings/rekeyJitter`` is negative, or not less than ``Settings/rekeyAfter``.
  case jitterOutOfRange(rekeyJitter: Duration, rekeyAfter: Duration)
  /// ``Settings/keyUseLimit`` is more than 2^32 − 1.
  case keyUseLimitTooLarge(UInt64)
  /// ``Settings/rekeyUses`` is not less than ``Settings/keyUseLimit``, so sessions would end
  /// instead of re-keying.
  case rekeyUsesTooLarge(rekeyUses: UInt64, keyUseLimit: UInt64)
  /// ``Settings/idleTimeout`` is not longer than ``Settings/keepAlive``, so sessions would end
  /// before their peers are probed.
  case idleTimeoutTooShort(idleTimeout: Duration, keepAlive: Duration)
  /// ``Settings/shard`` has a count other than 1, 2, 4, … 256, or an index that is not below it.
  case shardOutOfRange(Shard)
  /// ``Settings/node`` does not fit into ``Settings/nodeBits``, or the node and shard bits together
  /// exceed ``Settings/largestFixedBits``.
  case nodeOutOfRange(node: Int, nodeBits: Int, shard: Shard)
}

extension ConfigurationError: CustomStringConvertible {
  /// The problem, and the allowed values.
  public var description: String {
    switch self {
    case .mtuOutOfRange(let mtu):
      "MTU \(mtu) is out of range: it must be \(Settings.smallestMTU) to \(Settings.largestMTU) bytes"
    case .notPositive(let name): "setting \(name) must be greater than zero"
    case .jitterOutOfRange(let jitter, let after):
      "re-key jitter \(jitter) is out of range: it must not be negative, and less than the re-key time \(after)"
    case .keyUseLimitTooLarge(let limit): "key use limit \(limit) is more than 2^32 - 1"
    case .rekeyUsesTooLarge(let uses, let limit):
      "a re-key after \(uses) uses of a key is too late: it must be less than the key use limit \(limit)"
    case .idleTimeoutTooShort(let timeout, let keepAlive):
      "an idle timeout of \(timeout) is too short: it must be longer than the keep-alive time \(keepAlive)"
    case .shardOutOfRange(let shard):
      "there is no shard \(shard.index) of \(shard.count): it must be 0 to count - 1, of 1, 2, 4, ... \(Shard.largestCount)"
    case .nodeOutOfRange(let node, let bits, let shard):
      "node \(node) of \(bits) bits is out of range: it must fit into its bits, which are at most "
        + "\(Settings.largestFixedBits) together with the \(shard.bits) of the shard"
    }
  }
}

extension Settings {
  func validate() throws(ConfigurationError) {
    // [FRAG-4]
    guard (Self.smallestMTU...Self.largestMTU).contains(mtu) else { throw .mtuOutOfRange(mtu) }
    // [CTR-10]
    guard keyUseLimit < 1 << 32 else { throw .keyUseLimitTooLarge(keyUseLimit) }
    guard shard.isValid else { throw .shardOutOfRange(shard) }
    guard nodeBits >= 0, nodeBits <= Self.largestFixedBits - shard.bits, node >= 0, node >> nodeBits == 0 else {
      throw .nodeOutOfRange(node: node, nodeBits: nodeBits, shard: shard)
    }
    let durations: [(String, Duration)] = [
      ("resendInterval", resendInterval), ("handshakeTimeout", handshakeTimeout), ("rekeyTimeout", rekeyTimeout),
      ("rekeyAfter", rekeyAfter), ("reassemblyTimeout", reassemblyTimeout),
      ("expandedKeyTimeout", expandedKeyTimeout), ("previousKeyLifetime", previousKeyLifetime),
      ("rekeyRefill", rekeyRefill), ("keepAlive", keepAlive ?? resendInterval),
      ("idleTimeout", idleTimeout ?? resendInterval),
    ]
    // The clock counts nanoseconds: a shorter timer would always be due again.
    for (name, duration) in durations where duration < .nanoseconds(1) { throw .notPositive(name) }
    guard rekeyJitter >= .zero, rekeyJitter < rekeyAfter else {
      throw .jitterOutOfRange(rekeyJitter: rekeyJitter, rekeyAfter: rekeyAfter)
    }
    let limits = [
      ("halfOpenLimit", halfOpenLimit), ("helloWorkLimit", helloWorkLimit), ("helloLimit", helloLimit),
      ("helloFragmentLimit", helloFragmentLimit),
      ("reassemblyPackets", reassemblyPackets), ("reassemblyBytes", reassemblyBytes),
      ("totalReassemblyBytes", totalReassemblyBytes), ("rekeyBurst", rekeyBurst),
      ("bodiesPerHandshake", bodiesPerHandshake),
      ("expandedKeys", expandedKeys ?? 1), ("keyUseLimit", Int(keyUseLimit)), ("rekeyUses", Int(clamping: rekeyUses)),
    ]
    for (name, limit) in limits where limit <= 0 { throw .notPositive(name) }
    if let keepAlive, let idleTimeout, idleTimeout <= keepAlive {
      throw .idleTimeoutTooShort(idleTimeout: idleTimeout, keepAlive: keepAlive)
    }
    guard rekeyUses < keyUseLimit else {
      throw .rekeyUsesTooLarge(rekeyUses: rekeyUses, keyUseLimit: keyUseLimit)
    }
  }
}
