// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

struct Ping: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Find out how far a handshake with a peer gets, and why not further.",
    discussion: """
      First a Hello is sent from a socket of its own. It ends before this side would prove its key, so it changes no \
      ratchet on either side. If the peer proves its key, a session is opened as 'zssp connect' would, unless that would \
      use up a ratchet that is not kept: with --key or --otp-file and without --store, --session asks for it.
      Exit codes: 0 the peer answered, 1 it did not or refused the given key, 2 usage or configuration.
      """)

  @Argument(
    help: ArgumentHelp(
      "Probe this address: gw.example:4000, 192.0.2.1:4000 or [2001:db8::1]:4000.", valueName: "host:port"))
  var target: String

  @Option(help: ArgumentHelp("Expect this public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
  var peer: String

  @Option(
    help: ArgumentHelp(
      "Send from this local address. A port is that of the first Hello. Default: any.", valueName: "addr:port"))
  var bind: String?

  @Option(
    help: ArgumentHelp("Read the private key from this PEM file. Default: a new key for this run.", valueName: "file"))
  var key: String?

  @Option(help: "Send this identity when opening a session, up to 4096 bytes. Default: empty.")
  var identity = ""

  @Option(help: "Use this profile: kyber1024, upstream or mlkem1024.")
  var profile = Profile.kyber1024

  @Option(parsing: .unconditional, help: "Limit the session's datagrams to this size in bytes, 128 to 65507.")
  var mtu = Settings().mtu

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Then probe the peer this many times. Default: none. Without a session each probe is a Hello.", valueName: "n"))
  var count = 0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Pause between probes for this many seconds, 0.1 to 1000000.", valueName: "seconds"))
  var interval = 1.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Wait for each step for this many seconds, 0.1 to 1000000.", valueName: "seconds"))
  var timeout = 4.0

  @Flag(inversion: .prefixedNo, help: "Open a session. Default: if no ratchet is used up that is not kept.")
  var session: Bool?

  @Flag(help: "Print one JSON object per step and line. Default: off.")
  var json = false

  @OptionGroup var crypto: CryptoOption

  @OptionGroup(title: "Security") var security: SecurityOptions

  func validate() throws {
    try OptionRange.check(count, of: "--count", in: 0...1_000_000_000)
    try OptionRange.check(interval, of: "--interval", in: 0.1...1e6, unit: "seconds")
    try OptionRange.check(timeout, of: "--timeout", in: 0.1...1e6, unit: "seconds")
    guard identity.utf8.count <= 4096 else {
      throw ValidationError("--identity: \(identity.utf8.count) bytes; must be at most 4096")
    }
    try OptionRange.check(mtu, of: "--mtu", in: Settings.smallestMTU...Settings.largestMTU, unit: "bytes")
  }

  /// True if a session is opened after a successful Hello. With a key of the user and a volatile
  /// store the peer would advance its ratchet, and this side would forget it.
  var opensSession: Bool { session ?? (security.store != nil || key == nil && security.otpFile == nil) }

  func run() async throws {
    _ = try AddressReader.isNumeric(target, option: "HOST:PORT")
    let peerKey = try KeyReader.publicKey(peer, option: "--peer")
    let source = try bind.map { text throws(CommandFailure) in try AddressReader.read(text, option: "--bind") }
    let staticKey = if let key { try KeyReader.privateKey(file: key) } else { StaticKey() }
    let provider = try crypto.provider()
    var settings = Settings()
    settings.mtu = mtu
    security.apply(to: &settings)
    let ratchets: Ratchets
    do throws(CommandFailure) {
      ratchets = try await Ratchets(security, peer: peerKey, forSession: opensSession)
    } catch {
      throw StoreLocation.advise(
        error,
        inUse: "beside a tunnel that runs, 'zssp tunnel check --probe FILE' probes; any other process must end first")
    }
    do {
      let configuration = try EndpointConfiguration(
        staticKey: staticKey.agreementKey(for: provider), provider: provider, profile: profile,
        flags: ratchets.flags, settings: settings)
      var probe = PeerProbe(
        key: peerKey, configuration: configuration, ratchets: ratchets.held, patience: .seconds(timeout))
      probe.source = source
      let walk = PingWalk(
        target: target, probe: probe, hasNewKey: key == nil, ignoresLostRatchet: session == true,
        reasonForNoSession: session == false
          ? "as asked" : "it would use up a ratchet that is not kept; give --store, or --session to do it anyway",
        reporter: PingReporter(json: json))
      let store = opensSession ? ratchets.store : nil
      let identity = Array(identity.utf8)
      let count = count
      let interval = interval
      let finished: PingWalk.Outcome? = try await Interruption.cancelling(after: nil) {
        try await walk.run(store: store, identity: identity, count: count, interval: .seconds(interval))
      }
      await ratchets.finish()
      guard let finished else { throw CommandFailure.failed("interrupted") }
      try finished.check(target)
    } catch {
      await ratchets.finish()
      throw error
    }
  }

  /// The ratchet that a Hello names, and the store of a session.
  private struct Ratchets {
    let store: (any KeptRatchets)?
    let flags: SecurityFlags
    let held: [RatchetState]

    /// Opens the store for a session, as `connect` does; otherwise reads it only.
    init(_ security: SecurityOptions, peer: PublicKey, forSession: Bool) async throws(CommandFailure) {
      if forSession {
        let ratchets = try await security.makeRatchets(peers: [peer])
        store = ratchets.store
        flags = ratchets.flags
        held = await Self.held(of: peer, in: ratchets.store)
        return
      }
      store = nil
      flags = security.flags
      var held: [RatchetState] = []
      if let text = security.store {
        let location = try StoreLocation(text)
        let opened = try await location.open(key: try security.storeKey.key(), creates: false)
        held = await Self.held(of: peer, in: opened)
        await opened.finish()
      }
      if held.isEmpty, let file = security.otpFile { held = [try OneTimePassword.read(file)] }
      self.held = held
    }

    func finish() async { await store?.finish() }

    private static func held(of peer: PublicKey, in store: any RatchetStore) async -> [RatchetState] {
      guard case .pair(let pair, _) = await store.answer(.load(peer: peer)) else { return [] }
      return PeerProbe.ratchets(of: pair)
    }
  }
}
