// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Settings (section 11)", .tags(.fast))
struct SettingsTests {
  // [DEC-24] [FRAG-4] [TIME-13]
  @Test("the defaults are those of the specification, and valid")
  func defaults() throws {
    let settings = Settings()
    try settings.validate()
    #expect(settings.resendInterval == .seconds(1))
    #expect(settings.handshakeTimeout == .seconds(10))
    #expect(settings.rekeyTimeout == .seconds(60))
    #expect(settings.rekeyAfter == .seconds(3600))
    #expect(settings.rekeyJitter == .seconds(600))
    #expect(settings.reassemblyTimeout == .seconds(5))
    #expect(settings.rekeyUses == 1 << 30)
    #expect(settings.keyUseLimit == UInt64(UInt32.max))
    #expect((settings.halfOpenLimit, settings.helloLimit) == (2048, 32))
    #expect((settings.helloFragmentLimit, settings.helloWorkLimit) == (1024, 32))
    #expect(settings.reassemblyPackets == 64)
    #expect(Settings.smallestMTU == 128)
  }

  // [FRAG-4]
  @Test(
    "an MTU must be possible",
    arguments: [
      (Int.min, false), (0, false), (127, false), (128, true), (1400, true), (65_507, true), (65_508, false),
      (Int.max, false),
    ])
  func mtu(_ mtu: Int, _ isValid: Bool) {
    var settings = Settings()
    settings.mtu = mtu
    #expect(error(of: settings) == (isValid ? nil : .mtuOutOfRange(mtu)))
  }

  // [CTR-10]
  @Test(
    "the limit of section 4 for uses of a key cannot be raised",
    arguments: [(2, true), (1 << 32 - 1, true), (1 << 32, false), (.max, false)] as [(UInt64, Bool)])
  func keyUses(_ limit: UInt64, _ isValid: Bool) {
    var settings = Settings()
    settings.rekeyUses = 1
    settings.keyUseLimit = limit
    #expect(error(of: settings) == (isValid ? nil : .keyUseLimitTooLarge(limit)))
  }

  @Test(
    "a key is replaced before it is used up",
    arguments: [
      (1, 2, true), (2, 2, false), (59, 60, true), (60, 60, false), (1 << 30, 60, false), (1 << 30, 1 << 32 - 1, true),
    ] as [(UInt64, UInt64, Bool)])
  func rekeyUses(_ uses: UInt64, _ limit: UInt64, _ isValid: Bool) {
    var settings = Settings()
    settings.rekeyUses = uses
    settings.keyUseLimit = limit
    #expect(error(of: settings) == (isValid ? nil : .rekeyUsesTooLarge(rekeyUses: uses, keyUseLimit: limit)))
  }

  /// A setting that must be greater than zero, and how to set it.
  struct Positive: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let set: @Sendable (inout Settings, Int) -> Void
  }

  static let positiveSettings: [Positive] = [
    Positive(testDescription: "resendInterval") { $0.resendInterval = .nanoseconds($1) },
    Positive(testDescription: "handshakeTimeout") { $0.handshakeTimeout = .nanoseconds($1) },
    Positive(testDescription: "rekeyTimeout") { $0.rekeyTimeout = .nanoseconds($1) },
    Positive(testDescription: "rekeyAfter") {
      $0.rekeyAfter = .nanoseconds($1)
      $0.rekeyJitter = .zero
    },
    Positive(testDescription: "reassemblyTimeout") { $0.reassemblyTimeout = .nanoseconds($1) },
    Positive(testDescription: "expandedKeyTimeout") { $0.expandedKeyTimeout = .nanoseconds($1) },
    Positive(testDescription: "halfOpenLimit") { $0.halfOpenLimit = $1 },
    Positive(testDescription: "helloWorkLimit") { $0.helloWorkLimit = $1 },
    Positive(testDescription: "helloLimit") { $0.helloLimit = $1 },
    Positive(testDescription: "helloFragmentLimit") { $0.helloFragmentLimit = $1 },
    Positive(testDescription: "reassemblyPackets") { $0.reassemblyPackets = $1 },
    Positive(testDescription: "reassemblyBytes") { $0.reassemblyBytes = $1 },
    Positive(testDescription: "expandedKeys") { $0.expandedKeys = $1 },
    Positive(testDescription: "rekeyUses") { $0.rekeyUses = UInt64(clamping: $1) },
    Positive(testDescription: "keyUseLimit") {
      // The smallest is 2, for a re-key comes before.
      $0.rekeyUses = 1
      $0.keyUseLimit = UInt64(clamping: $1 == 1 ? 2 : $1)
    },
  ]

  @Test("durations and limits are greater than zero", arguments: positiveSettings, [0, -1])
  func positive(_ setting: Positive, _ value: Int) {
    var settings = Settings()
    setting.set(&settings, value)
    #expect(error(of: settings) == .notPositive(setting.testDescription))
    setting.set(&settings, 1)
    #expect(error(of: settings) == nil)
  }

  /// The clock counts nanoseconds. A timer of less was due again at once, and the endpoint never
  /// came to an end.
  @Test("a duration of less than a nanosecond is none", arguments: positiveSettings.prefix(6))
  func subNanosecond(_ setting: Positive) {
    var settings = Settings()
    setting.set(&settings, 1)
    #expect(error(of: settings) == nil)
    let almost = Duration(secondsComponent: 0, attosecondsComponent: 999_999_999)
    let paths: [DurationPath] = [
      \.resendInterval, \.handshakeTimeout, \.rekeyTimeout, \.rekeyAfter, \.reassemblyTimeout, \.expandedKeyTimeout,
    ]
    for path in paths
    where settings[keyPath: path] == .nanoseconds(1) {
      settings[keyPath: path] = almost
      #expect(error(of: settings) == .notPositive(setting.testDescription))
      return
    }
    Issue.record("\(setting.testDescription) is no duration")
  }

  private typealias DurationPath = WritableKeyPath<Settings, Duration>

  /// The timer of S2 could be due at once, or before it was set, if the jitter were the whole time.
  @Test(
    "the jitter of the re-key is less than its time",
    arguments: [
      (.zero, true), (.milliseconds(9_999), true), (.seconds(10), false), (.seconds(11), false),
      (.nanoseconds(-1), false),
    ] as [(Duration, Bool)])
  func jitter(_ jitter: Duration, _ isValid: Bool) {
    var settings = Settings()
    settings.rekeyAfter = .seconds(10)
    settings.rekeyJitter = jitter
    #expect(error(of: settings) == (isValid ? nil : .jitterOutOfRange(rekeyJitter: jitter, rekeyAfter: .seconds(10))))
  }

  // [FRAG-8]
  /// `reassemblyBytes` is 1 MiB, and a message may be three times as long: it never arrived.
  @Test(
    "a message of the largest size arrives at every MTU", arguments: [128, 1400, 20_000, 40_000, 65_507],
    [1, 1 << 20])
  func largestMessage(mtu: Int, reassemblyBytes: Int) throws {
    var settings = Settings()
    settings.mtu = mtu
    settings.reassemblyBytes = reassemblyBytes
    let pair = try Pair(provider: FastCrypto(seed: 6), settings: settings)
    let (one, _) = try pair.establish()
    for size in [settings.largestMessage, settings.largestMessage - 1] {
      let message = [UInt8](repeating: 6, count: size)
      try pair.alice.send(message, on: one, at: pair.now)
      // The shorter fragments first: the first to come says how large the others may be.
      for datagram in pair.intercept().reversed() { pair.deliver(datagram) }
      #expect(pair.bob.messages.last?.bytes == message)
    }
    #expect(pair.bob.statistics.dropped == 0 && pair.bob.diagnostics.reassemblyBytes == 0)
    #expect(throws: SendError.messageTooLarge(size: settings.largestMessage + 1, limit: settings.largestMessage)) {
      try pair.alice.send([UInt8](repeating: 6, count: settings.largestMessage + 1), on: one, at: pair.now)
    }
  }

  @Test("an endpoint refuses settings that cannot work, and draws nothing", arguments: providers)
  func endpoint(_ provider: any CryptoProvider) throws {
    let tape = Tape([])
    let scripted = ScriptedProvider(
      base: provider, tape: tape, peerAddress: Address(ipv4: 1, port: 1), recordedPeerAddress: [])
    var configuration = EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: scripted)
    configuration.settings.mtu = 100
    #expect(throws: ConfigurationError.mtuOutOfRange(100)) { _ = try Endpoint(configuration) }
    #expect(tape.problems == [])
  }

  @Test(
    "errors say what would be right",
    arguments: [
      (.mtuOutOfRange(5), ["5", "128", "65507"]), (.notPositive("helloLimit"), ["helloLimit", "greater than zero"]),
      (.keyUseLimitTooLarge(1 << 40), ["1099511627776", "2^32 - 1"]),
      (.rekeyUsesTooLarge(rekeyUses: 70, keyUseLimit: 60), ["70", "60", "less than"]),
      (.shardOutOfRange(Shard(3, of: 7)), ["3 of 7", "256"]),
      (.nodeOutOfRange(node: 9, nodeBits: 3, shard: Shard(0, of: 4)), ["node 9 of 3 bits", "16", "the 2 of"]),
      (
        .jitterOutOfRange(rekeyJitter: .seconds(7), rekeyAfter: .seconds(5)),
        ["7.0 seconds", "5.0 seconds", "less than"]
      ),
    ] as [(ConfigurationError, [String])])
  func descriptions(_ error: ConfigurationError, _ parts: [String]) {
    for part in parts { #expect(error.description.contains(part)) }
  }

  @Test("limits that are as good as none take no memory before they are used")
  func largestLimits() throws {
    var settings = Settings()
    settings.helloLimit = .max
    settings.helloFragmentLimit = .max
    settings.halfOpenLimit = .max
    settings.helloWorkLimit = .max
    settings.reassemblyPackets = .max
    settings.reassemblyBytes = .max
    settings.totalReassemblyBytes = .max
    settings.rekeyBurst = .max
    settings.bodiesPerHandshake = .max
    settings.expandedKeys = .max
    let pair = try Pair(provider: FastCrypto(seed: 0x11), helloPolicy: .automatic(), settings: settings)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.alice.rekey(session, at: pair.now))
    pair.settle()
    #expect(pair.alice.description(session)?.statistics.rekeys == 1)
  }

  private func error(of settings: Settings) -> ConfigurationError? {
    do throws(ConfigurationError) {
      try settings.validate()
      return nil
    } catch {
      return error
    }
  }
}
