// SPDX-License-Identifier: Apache-2.0

/// Durations, sizes and limits. The defaults are those of the specification; peers need not agree on them.
public struct Settings: Sendable, Hashable {
  /// The largest datagram in bytes, headers of ZSSP included, those of UDP and IP not. At least ``smallestMTU``. Handshakes use
  /// at most 1,200 bytes of it.
  public var mtu = 1400
  // [DEC-85]
  /// The largest datagram of a handshake in bytes, if ``mtu`` is not less: small enough for nearly every path, so that handshakes
  /// succeed wherever the path of data is still to be found. Recorded transcripts of others have larger ones.
  package var handshakeMTU = 1200
  // [TIME-1] [TIME-13]
  /// How long to wait before a packet that was not answered is sent again (section 11).
  public var resendInterval: Duration = .seconds(1)
  // [TIME-13]
  /// How long A1, A3 and B2 last before the handshake starts anew, or is forgotten (section 11).
  public var handshakeTimeout: Duration = .seconds(10)
  // [TIME-13]
  /// How long S1, R1 and R2 last before the session ends (section 11).
  public var rekeyTimeout: Duration = .seconds(60)
  // [TIME-13]
  /// The age of a key at which it is replaced, at the latest (section 11).
  public var rekeyAfter: Duration = .seconds(3600)
  // [TIME-13]
  /// Up to this much is taken off ``rekeyAfter`` at random; less than ``rekeyAfter`` (section 11).
  public var rekeyJitter: Duration = .seconds(600)
  // [DEC-39]
  /// How long the previous key is still accepted after the peer has confirmed the new one, for
  /// packets that are late. Then it is erased (section 14).
  public var previousKeyLifetime: Duration = .seconds(60)
  // [DEC-34]
  /// Re-keys that the peer of a session can begin one right after another; each costs public-key
  /// work and a durable swap. A K1 beyond it is dropped, and comes again every ``resendInterval``.
  /// ``Endpoint/rekey(_:at:)`` keeps to the same pace.
  public var rekeyBurst = 8
  // [DEC-34]
  /// How long it takes until the peer of a session can begin one more re-key, beyond
  /// ``rekeyBurst``. Never longer than half of ``rekeyAfter``, whatever this says: peers that
  /// re-key often by their timers always can. Never longer than half of ``rekeyTimeout`` either: a
  /// peer whose K1 is dropped sends it again, and would end the session when that time is over.
  public var rekeyRefill: Duration = .seconds(10)
  // [DEC-83]
  /// After how much silence of its peer a session probes it, less up to a quarter at random. A peer that does not answer is
  /// probed again after ``resendInterval``, twice that, and so on, at most so long. Nothing is sent while both sides send
  /// something. Nil, the default, is never (section 14).
  public var keepAlive: Duration?
  /// After how much silence of its peer a session ends; longer than ``keepAlive``. Nil, the default, is never. A session that is merely
  /// not used does not end: without ``keepAlive`` its peer is probed one ``resendInterval`` before the time (section 14).
  public var idleTimeout: Duration?
  // [DEC-4]
  /// How many X2 the initiator, and how many X3 the responder, reads in one handshake until one is
  /// authentic. Each costs public-key work. When none was, the initiator starts anew, and the
  /// responder forgets the handshake. Whoever sees the packets can forge the rest of one behind its
  /// header, which must not end the handshake. 1 is what sections 6 and 11 say (section 14).
  public var bodiesPerHandshake = 4
  // [FRAG-16]
  /// How long an incomplete packet is kept (section 5).
  public var reassemblyTimeout: Duration = .seconds(5)
  // [CTR-11]
  // [CTR-10]
  /// Uses of a key at which a re-key starts at once; less than ``keyUseLimit`` (section 4). What is
  /// between the two is for messages, and for copies of the packets of the re-key, that are sent
  /// before there is a new key.
  public var rekeyUses: UInt64 = 1 << 30
  /// Uses of a key at which the session ends; more than ``rekeyUses``, at most 2^32 − 1 (section 4).
  public var keyUseLimit: UInt64 = (1 << 32) - 1
  // [DEC-24] [FRAG-12]
  /// Half-open handshakes held at once; of those that wait for X3 the oldest makes room that comes
  /// from the source with most of them (section 5). As many as the default ``HelloPolicy`` lets
  /// through within ``handshakeTimeout``, and more: a flood within that budget pushes nobody out
  /// whose X3 is still on its way. Each takes some kilobytes, and up to 16 KiB more while its X3 is
  /// incomplete, within ``totalReassemblyBytes``.
  public var halfOpenLimit = 2048
  /// Hellos with public-key work under way at once, where the policy has a budget: X1 that are read
  /// and X2 that are written. Others wait or are challenged. A driver should accept as many items
  /// at once and refuse none.
  public var helloWorkLimit = 32
  // [FRAG-9]
  /// Incomplete Hellos held at once, of all strangers together; the oldest of the source with most
  /// of them makes room (section 5).
  public var helloLimit = 32
  /// Fragments of incomplete Hellos held at once (section 5).
  public var helloFragmentLimit = 1024
  // [FRAG-13]
  /// Incomplete packets held at once for one session (section 5).
  public var reassemblyPackets = 64
  /// Bytes of incomplete packets held at once for one session. A single packet of the largest size for the MTU always
  /// fits, whatever this says.
  public var reassemblyBytes = 1 << 20
  // [DEC-40]
  /// Bytes of incomplete packets held at once for all sessions and half-open handshakes together;
  /// the default is 64 MiB. Beyond it the session that holds most makes room (section 14). A single
  /// packet of the largest size for the MTU always fits, whatever this says. Incomplete Hellos have
  /// ``helloLimit``.
  public var totalReassemblyBytes = 64 << 20
  /// Sessions that keep their keys expanded at once, at most; those of others are expanded when they are used, which costs some hundred
  /// nanoseconds. With a provider that keeps expanded keys such a session takes up to about 4 KiB more, so that this bounds the
  /// memory. Nil, the default, is the provider's ``CryptoProvider/usualExpandedKeys``.
  public var expandedKeys: Int?
  /// How long a session keeps its keys expanded after a message was sent or received on it. They are given up within about
  /// twice as long, by ``Endpoint/advance(to:)``, and expanded again when they are used.
  public var expandedKeyTimeout: Duration = .seconds(10)
  /// Which of several endpoints of one host this is: the low bits of its key ids.
  public var shard = Shard.only
  /// How many of the highest bits of its key ids name the ``node``, 0…16; together with those of the shard at most
  /// ``largestFixedBits``. With 8 a load balancer in front of several hosts finds the host in the first byte of each
  /// datagram but those of strangers, whose first four bytes are 0. Every fixed bit halves the number of sessions that an endpoint can
  /// hold: `2^(29 - bits)`, which is 8192 with 16 and 536 million with none.
  public var nodeBits = 0
  /// The host in the highest bits of the key ids, 0..<`2^nodeBits`.
  public var node = 0

  /// How many bits of a key id may be fixed; the others are random, for nobody shall guess them.
  public static let largestFixedBits = 16
  // [FRAG-4]
  /// The smallest MTU in bytes (section 5).
  public static let smallestMTU = 128
  // [DEC-87]
  /// No path is taken to be narrower in bytes of a datagram: 1280, which IPv6 asks of every link, less its header and that of UDP.
  public static let smallestDatagramLimit = 1232
  /// The largest MTU in bytes: the largest UDP payload over IPv4.
  public static let largestMTU = 65_507

  /// The defaults.
  public init() {}

  /// The longest message in bytes: `48·(mtu − 16) − 16`.
  public var largestMessage: Int { FragmentPlan.largestMessage(mtu: mtu) }

  /// ``reassemblyBytes``, and enough for a packet of ``largestMessage`` in any case.
  package var reassemblyLimit: Int { max(reassemblyBytes, reassemblyShare) }
  /// The bytes of one packet of ``largestMessage`` while it is incomplete: what each session may
  /// hold before it is the first to make room.
  package var reassemblyShare: Int { PacketAssembly.largestCapacity(mtu: mtu) }
  /// ``totalReassemblyBytes``, and enough for a packet of ``largestMessage`` in any case.
  package var totalReassemblyLimit: Int { max(totalReassemblyBytes, reassemblyShare) }
  // [DEC-34]
  /// How fast re-keys may follow each other.
  var rekeyPace: TokenBucket.Rate {
    TokenBucket.Rate(burst: rekeyBurst, refill: min(rekeyRefill, min(rekeyAfter, rekeyTimeout) / 2))
  }
}

/// Everything an endpoint is made with.
public struct EndpointConfiguration: Sendable {
  /// The endpoint's static key.
  public var staticKey: any AgreementPrivateKey
  /// Where cryptography comes from.
  public var provider: any CryptoProvider
  /// The variant of the protocol; both ends must have the same.
  public var profile: Profile
  // [MODE-7]
  /// π1 and the flags of sessions that this side opens without naming any.
  public var flags: SecurityFlags
  /// What Hellos must bring.
  public var helloPolicy: HelloPolicy
  /// Durations, sizes and limits.
  public var settings: Settings
  /// What several endpoints know of each other's sessions that share a static key, a store and a process, as shards do. Nil, the
  /// default: the endpoint is the only one.
  public var directory: PeerDirectory?

  /// A configuration of the given parts.
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

/// A configuration that cannot work.
public enum ConfigurationError: Error, Equatable {
  /// The MTU is not within ``Settings/smallestMTU``…``Settings/largestMTU``.
  case mtuOutOfRange(Int)
  /// The named setting must be greater than zero; a duration, at least a nanosecond.
  case notPositive(String)
  /// ``Settings/rekeyJitter`` is negative, or not less than ``Settings/rekeyAfter``.
  case jitterOutOfRange(rekeyJitter: Duration, rekeyAfter: Duration)
  /// ``Settings/keyUseLimit`` is more than 2^32 − 1.
  case keyUseLimitTooLarge(UInt64)
  /// ``Settings/rekeyUses`` is not less than ``Settings/keyUseLimit``: sessions would end instead of
  /// re-keying.
  case rekeyUsesTooLarge(rekeyUses: UInt64, keyUseLimit: UInt64)
  /// ``Settings/idleTimeout`` is not longer than ``Settings/keepAlive``: sessions would end before their peers are probed.
  case idleTimeoutTooShort(idleTimeout: Duration, keepAlive: Duration)
  /// ``Settings/shard`` is not one of 1, 2, 4, … 256.
  case shardOutOfRange(Shard)
  /// ``Settings/node`` does not fit into ``Settings/nodeBits``, or these and those of the shard are more than
  /// ``Settings/largestFixedBits``.
  case nodeOutOfRange(node: Int, nodeBits: Int, shard: Shard)
}

extension ConfigurationError: CustomStringConvertible {
  /// What is wrong and what would be right.
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
    // The clock counts nanoseconds: less is nothing, and a timer of nothing would be due for ever.
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
