// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

/// The options that `listen` and `connect` share.
struct SessionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Read the private key from this PEM file. Default: a new key for this run.", valueName: "file"))
  var key: String?

  @Option(help: "Send this identity when opening a session, up to 4096 bytes. Default: empty.")
  var identity = ""

  @Option(help: "Use this profile: kyber1024, upstream or mlkem1024. Both ends need the same.")
  var profile = Profile.kyber1024

  @Option(parsing: .unconditional, help: "Limit datagrams to this size in bytes, 128 to 65507.")
  var mtu = Settings().mtu

  @OptionGroup var crypto: CryptoOption

  @OptionGroup var metrics: MetricsOption

  @OptionGroup var trace: TraceOption

  @OptionGroup var keyLog: KeyLogOption

  @OptionGroup var logging: LogOptions

  @OptionGroup(title: "Security") var security: SecurityOptions

  @Flag(help: "Send every message back. Default: off.")
  var echo = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Send this many generated messages, which the other end can check. Default: standard input.", valueName: "n"))
  var send: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Give generated messages these sizes in bytes, in turn: 64,1400,60000.", valueName: "a,b,c"))
  var size = "64"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Pause between generated messages for this many milliseconds, 0 to 1000000000.", valueName: "ms"))
  var interval = 0

  @Option(
    name: .customLong("for"), parsing: .unconditional,
    help: ArgumentHelp("Stop after this many seconds. Default: never.", valueName: "seconds"))
  var duration: Double?

  @Flag(help: "Print one JSON object per event and line on standard output. Default: off.")
  var json = false

  /// True if standard input is sent: without --echo and --send.
  var sendsStandardInput: Bool { !echo && send == nil }

  func validate() throws {
    if let send { try OptionRange.check(send, of: "--send", in: 0...Int.max) }
    try OptionRange.check(interval, of: "--interval", in: 0...1_000_000_000, unit: "milliseconds")
    if let duration { try OptionRange.check(duration, of: "--for", upTo: 1e9, unit: "seconds") }
    guard identity.utf8.count <= 4096 else {
      throw ValidationError("--identity: \(identity.utf8.count) bytes; must be at most 4096")
    }
    try OptionRange.check(mtu, of: "--mtu", in: Settings.smallestMTU...Settings.largestMTU, unit: "bytes")
    var settings = Settings()
    settings.mtu = mtu
    for size in try sizes() where size > settings.largestMessage {
      throw ValidationError(
        "--size \(size): must be at most \(settings.largestMessage) bytes with --mtu \(mtu)")
    }
  }

  /// Returns the sizes of generated messages in bytes.
  ///
  /// - Throws: `ValidationError`.
  func sizes() throws -> [Int] {
    try size.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let size = Int(text), size >= 0 else {
        throw ValidationError("--size \(self.size): '\(text)' is not a number of bytes")
      }
      return size
    }
  }

  /// Returns the key of the file, or a new one.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  func staticKey() throws(CommandFailure) -> StaticKey {
    guard let key else {
      let made = StaticKey()
      Terminal.note("no --key given: using a new key for this run")
      return made
    }
    return try KeyReader.privateKey(file: key)
  }

  /// Makes the endpoint's configuration.
  ///
  /// - Throws: ``CommandFailure``, or the error of the key.
  func configuration(
    _ staticKey: StaticKey, flags: SecurityFlags, node: NodeNumber? = nil
  ) throws -> EndpointConfiguration {
    let provider = try crypto.provider()
    var settings = Settings()
    settings.mtu = mtu
    if let node {
      settings.node = node.number
      settings.nodeBits = node.bits
    }
    security.apply(to: &settings)
    var configuration = try EndpointConfiguration(
      staticKey: staticKey.agreementKey(for: provider), provider: provider, profile: profile, flags: flags,
      helloPolicy: security.challenge.policy, settings: settings)
    try keyLog.apply(to: &configuration)
    return configuration
  }
}

extension Profile: ExpressibleByArgument {}
