// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference

/// The reference.
final class ReferenceParty: Party {
  private let peer: ReferencePeer

  init(_ configuration: PartyConfiguration) {
    let flags = ReferencePeer.Flags(configuration.flags)
    let accepts = configuration.accepts
    peer = ReferencePeer(
      staticKey: configuration.staticKey, provider: configuration.provider,
      profile: ReferencePeer.Profile(configuration.profile), flags: flags,
      helloPolicy: ReferencePeer.HelloPolicy(configuration.policy),
      settings: ReferencePeer.Settings(configuration.settings), store: configuration.store
    ) { _ in accepts() ? .accept(flags) : .reject(silently: flags.responderSilentlyRejects) }
  }

  var nextDeadline: Instant? { peer.nextDeadline }

  func open(to key: PublicKey, at address: Address, identity: [UInt8], now: Instant) {
    _ = try? peer.open(to: key, at: address, identity: identity, now: now)
  }

  func send(_ message: [UInt8], on session: Int, at now: Instant) { try? peer.send(message, on: session, at: now) }
  func rekey(_ session: Int, at now: Instant) { peer.rekey(session, at: now) }
  func close(_ session: Int, at now: Instant) { peer.close(session) }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> [UInt8]? {
    if case .message(_, let message) = peer.receive(datagram, from: source, at: now) { message } else { nil }
  }

  func tick(at now: Instant) { peer.tick(at: now) }
  func takeDatagrams() -> [(address: Address, bytes: [UInt8])] { peer.takeDatagrams() }

  func takeEvents() -> [String] {
    peer.takeEvents().map { event in
      switch event {
      case .established(let id, let info):
        return "\(id) established \(info.isInitiator ? "Alice" : "Bob") \(info.identity.count) \(info.address.port) "
          + "\(info.chainLength) from \(info.downgradedFrom ?? 0)"
      case .confirmed(let id), .restarted(let id, _), .downgraded(let id, _, _), .rekeyed(let id, _),
        .moved(let id, _, _), .answered(let id, _), .ended(let id, _):
        return "\(id) \(event.summary)"
      case .withdrawn: return event.summary
      }
    }
  }

  func sessions() -> [Int: String] {
    var sessions: [Int: String] = [:]
    for number in 1...64 {
      guard let session = peer.description(of: number) else { continue }
      sessions[number] =
        "\(session.state) chain \(session.chainLength) to \(session.address.port) "
        + "until \(session.timeout.nanoseconds) resend \(session.resend.nanoseconds)"
    }
    return sessions
  }
}

extension ReferencePeer.Profile {
  init(_ profile: Profile) {
    self =
      switch profile {
      case .kyber1024: .kyber1024
      case .upstream: .upstream
      case .mlkem1024: .mlkem1024
      }
  }
}

extension ReferencePeer.HelloPolicy {
  init(_ policy: HelloPolicy) {
    self =
      switch policy {
      case .allow: .allow
      case .challenge: .challenge
      case .drop: .drop
      case .automatic: .automatic
      }
  }
}

extension ReferencePeer.Settings {
  init(_ settings: Settings) {
    self.init()
    mtu = settings.mtu
    handshakeMTU = settings.handshakeMTU
    resendInterval = settings.resendInterval
    handshakeTimeout = settings.handshakeTimeout
    rekeyTimeout = settings.rekeyTimeout
    rekeyAfter = settings.rekeyAfter
    rekeyJitter = settings.rekeyJitter
    reassemblyTimeout = settings.reassemblyTimeout
    previousKeyLifetime = settings.previousKeyLifetime
    bodiesPerHandshake = settings.bodiesPerHandshake
    rekeyBurst = settings.rekeyBurst
    rekeyRefill = settings.rekeyRefill
    keepAlive = settings.keepAlive
    idleTimeout = settings.idleTimeout
    rekeyUses = settings.rekeyUses
    keyUseLimit = settings.keyUseLimit
    halfOpenLimit = settings.halfOpenLimit
    helloLimit = settings.helloLimit
    helloFragmentLimit = settings.helloFragmentLimit
    reassemblySlots = settings.reassemblyPackets
  }
}
