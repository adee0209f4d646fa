// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import NIOCore
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Start two peers on loopback UDP, let them shake hands, and move data both ways.",
    discussion: "Needs no root, no configuration and no network.")

  @Option(help: "Use this profile: kyber1024, upstream or mlkem1024.")
  var profile = Profile.kyber1024

  @Option(parsing: .unconditional, help: "Limit datagrams to this size in bytes, 128 to 65507.")
  var mtu = 1500

  @OptionGroup var crypto: CryptoOption

  private var settings: Settings {
    var settings = Settings()
    settings.mtu = mtu
    return settings
  }

  func validate() throws {
    try OptionRange.check(mtu, of: "--mtu", in: Settings.smallestMTU...Settings.largestMTU, unit: "bytes")
  }

  func run() async throws {
    let aliceKey = StaticKey()
    let bobKey = StaticKey()
    let provider = try crypto.provider()
    let alice = try await endpoint(aliceKey, provider: provider)
    let bob = try await endpoint(bobKey, provider: provider)
    Terminal.output("Two peers on loopback UDP, profile \(profile.rawValue), MTU \(mtu), \(provider.name)")
    Terminal.output("  Alice  \(alice.localAddress.text)  \(alice.publicKey.text)")
    Terminal.output("  Bob    \(bob.localAddress.text)  \(bob.publicKey.text)")

    let (a, b) = try await shakeHands(from: alice, to: bob)
    let small = try await DemoTransfer.pingPong(from: a, to: b, count: 1000, size: 32)
    Terminal.output(
      String(
        format: "Round trips   %d of 32 bytes, median %.0f µs, 99th percentile %.0f µs", small.count,
        small.median, small.percentile99))
    for (count, size) in [(100_000, 1400), (500, 60_000)] {
      guard size <= settings.largestMessage else {
        Terminal.output("\(size) bytes do not fit at this MTU: the limit is \(settings.largestMessage) bytes")
        continue
      }
      for (name, from, to) in [("Alice → Bob", a, b), ("Bob → Alice", b, a)] {
        let result = try await DemoTransfer.stream(from: from, to: to, count: count, size: size)
        Terminal.output(result.line(name, size: size))
      }
    }
    await report(alice, and: bob)
    await alice.close()
    await bob.close()
  }

  private func endpoint(_ key: StaticKey, provider: any CryptoProvider) async throws -> UDPEndpoint {
    let configuration = EndpointConfiguration(
      staticKey: try key.agreementKey(for: provider), provider: provider, profile: profile, settings: settings)
    return try await Tool.bind(try AddressReader.read("127.0.0.1:0", option: "--bind"), configuration: configuration)
  }

  private func shakeHands(from alice: UDPEndpoint, to bob: UDPEndpoint) async throws -> (Session, Session) {
    async let accepted: Session? = {
      for await incoming in bob.incoming {
        Terminal.output("Bob is asked by \(Terminal.printable(incoming.identity)), and accepts")
        return try await incoming.accept()
      }
      return nil
    }()
    let clock = ContinuousClock()
    let start = clock.now
    let session: Session
    do {
      session = try await alice.connect(
        to: bob.localAddress, key: bob.publicKey, identity: Array("alice@example.net".utf8), timeout: .seconds(10))
    } catch {
      throw error.commandFailure
    }
    let duration = clock.now - start
    let counters = await alice.statistics().endpoint
    guard let answered = try await accepted else { throw CommandFailure.failed("the endpoint closed") }
    Terminal.output(
      String(
        format: "Established   Noise XK + %@ in %.1f ms (X1 → X2 → X3 → C1; Alice sent %llu datagrams, received %llu)",
        profile.kem == .mlkem1024 ? "ML-KEM-1024" : "Kyber1024", duration / .milliseconds(1),
        counters.datagramsSent, counters.datagramsReceived))
    Terminal.output("  Alice talks to  \(session.peer.text)")
    Terminal.output("  Bob talks to    \(answered.peer.text)")
    Terminal.output("  ratchet chain length \(session.establishment.chainLength)")
    return (session, answered)
  }

  private func report(_ alice: UDPEndpoint, and bob: UDPEndpoint) async {
    for (name, endpoint) in [("Alice", alice), ("Bob", bob)] {
      let statistics = await endpoint.statistics().endpoint
      Terminal.output(
        "\(name) sent \(statistics.messagesSent) messages in \(statistics.datagramsSent) datagrams, received "
          + "\(statistics.messagesReceived) messages, dropped \(statistics.dropped) datagrams")
    }
  }
}
