// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import NIOConcurrencyHelpers
import NIOPosix
package import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Finds out how far a handshake with a peer gets, and why not further, without opening a session.
///
/// First it sends the Hello that a session would begin with. If that gets no authentic answer, it
/// sends it once more and variants of it side by side, each from a socket of its own: another
/// profile, no ratchet, small datagrams. An answer to a variant alone tells the cause; where the
/// peer or the path is slow, the same Hello is answered as well, or the first one late. An empty
/// datagram to another port of the host tells whether the host answers at all.
package struct PeerProbe: Sendable {
  /// The peer's static key.
  package var key: PublicKey
  /// The static key and the provider of this side; its profile is that of the first Hello.
  package var configuration: EndpointConfiguration
  /// The ratchet states that this side holds for the peer. A Hello names one; the next is tried if
  /// the peer does not know the one before.
  package var ratchets: [RatchetState]
  /// The address to send from; nil for the system's choice. Its port is that of the first Hello;
  /// other sockets have ports of their own.
  package var source: SocketAddress?
  /// The time to wait for the answer to the first Hello, and to all variants together. Within it
  /// Hellos are sent again.
  package var patience: Duration
  /// True to find the limit of the path with large datagrams, which the peer drops.
  package var measuresPath = true
  /// True to send the variants.
  package var sendsVariants = true
  /// Sets options of each socket, and returns an error number.
  package var configureSocket: @Sendable (CInt) -> CInt = { _ in 0 }

  package init(
    key: PublicKey, configuration: EndpointConfiguration, ratchets: [RatchetState] = [],
    patience: Duration = .seconds(4)
  ) {
    self.key = key
    self.configuration = configuration
    self.ratchets = ratchets
    self.patience = patience
  }

  /// The way to a peer, as far as the system knows.
  package struct Route: Sendable, Hashable {
    package var remote: Address
    package var local: Address?
    package var interface: String?
    /// The largest size of packets in bytes, with the IP header.
    package var mtu: Int?
  }

  /// A step of a probe.
  package enum Step: Sendable {
    case route(Route)
    case noRoute(Address, ProbeFailure)
    case observed(ProbeObservation)
    /// The network has reported the largest size of packets.
    case pathMTU(Int)
    /// True if the host reported that another port is closed, which shows that it is up and that
    /// its reports arrive. The same would be known of the probed port, if it were closed.
    case hostAnswers(Bool)
  }

  /// Returns the states that Hellos of a probe name, one after another: first the older one,
  /// because no attempt that is under way leads to it. The peer may have dropped it if the
  /// confirmation of the newer one was lost.
  package static func ratchets(of pair: RatchetPair) -> [RatchetState] {
    [pair.state2, pair.state1].compactMap(\.self).filter { !$0.isEmpty }
  }

  /// The attempts that follow a first one without an authentic answer. The first of them is the
  /// same Hello, with which the others are compared.
  package var variants: [ProbeAttempt] {
    let profile = configuration.profile
    let other = profile.kem == .mlkem1024 ? Profile.kyber1024 : .mlkem1024
    var variants = [
      ProbeAttempt(profile: profile, naming: 0, of: ratchets),
      ProbeAttempt(.otherProfile, profile: other, naming: 0, of: ratchets),
    ]
    if !ratchets.isEmpty { variants.append(ProbeAttempt(.withoutRatchet, profile: profile, naming: 0, of: [])) }
    variants.append(ProbeAttempt(.smallDatagrams, profile: profile, naming: 0, of: ratchets, datagramLimit: 508))
    return variants
  }

  /// Probes a peer at one address.
  ///
  /// - Parameters:
  ///   - remote: The address.
  ///   - report: Called with each step.
  /// - Returns: the observations.
  /// - Throws: ``UDPError/configuration(_:)``, ``UDPError/open(_:)``,
  ///   ``UDPError/bindFailed(host:port:reason:)`` for the address to send from, or
  ///   ``UDPError/cancelled``.
  package func run(
    to remote: Address, report: @escaping @Sendable (Step) -> Void = { _ in }
  ) async throws(UDPError) -> Diagnosis.Observations {
    let isCancelled = NIOLockedValueBox(false)
    let result: Result<Diagnosis.Observations, UDPError>
    do {
      result = try await withTaskCancellationHandler {
        // Waiting for sockets blocks.
        try await NIOThreadPool.singleton.runIfActive {
          Result { () throws(UDPError) in
            try probe(remote, isCancelled: { isCancelled.withLockedValue { $0 } }, report: report)
          }
        }
      } onCancel: {
        isCancelled.withLockedValue { $0 = true }
      }
    } catch {
      throw .cancelled
    }
    // What was seen until then says nothing.
    guard !isCancelled.withLockedValue({ $0 }) else { throw .cancelled }
    return try result.get()
  }

  /// Sends one Hello, and returns what was observed of it.
  ///
  /// - Parameters:
  ///   - state: The number of the ratchet state that it names.
  ///   - remote: The address.
  /// - Throws: ``UDPError``.
  package func single(naming state: Int = 0, to remote: Address) async throws(UDPError) -> ProbeObservation {
    var probe = self
    probe.ratchets = Array(ratchets.dropFirst(state).prefix(1))
    probe.sendsVariants = false
    probe.measuresPath = false
    return try await probe.run(to: remote).attempts.first ?? ProbeObservation(profile: configuration.profile)
  }

  private func probe(
    _ remote: Address, isCancelled: () -> Bool, report: (Step) -> Void
  ) throws(UDPError) -> Diagnosis.Observations {
    var seen = Diagnosis.Observations()
    seen.profile = configuration.profile
    seen.heldStates = ratchets.count
    let first: HelloProbe
    do {
      let attempt = ProbeAttempt(profile: configuration.profile, naming: 0, of: ratchets)
      first = try hello(attempt, to: remote, from: source, measuresPath: measuresPath)
    } catch {
      let failure = try error.failure()
      if let source, let reason = failure.sourceFailure {
        throw .bindFailed(host: source.ipAddress ?? "", port: source.port ?? 0, reason: reason)
      }
      report(.noRoute(remote, failure))
      seen.localError = failure.report
      return seen
    }
    report(
      .route(
        Route(
          remote: remote.unmapped, local: first.socket.local, interface: first.socket.interface,
          mtu: first.socket.pathMTU)))
    try run([first], isCancelled: isCancelled)
    guard !isCancelled() else { return seen }
    seen.attempts.append(first.observation)
    report(.observed(first.observation))
    if let mtu = first.reportedMTU {
      seen.reportedMTU = mtu
      report(.pathMTU(mtu))
    }
    for state in ratchets.indices.dropFirst()
    where !seen.usedRatchet && !first.observation.isRefused && !isCancelled() {
      let attempt = ProbeAttempt(profile: configuration.profile, naming: state, of: ratchets)
      // Without a socket it is not known whether the peer has this state.
      guard let next = try? hello(attempt, to: remote, from: nextSource, measuresPath: false) else { break }
      try run([next], isCancelled: isCancelled)
      guard !isCancelled() else { return seen }
      seen.attempts.append(next.observation)
      report(.observed(next.observation))
    }
    guard !seen.isAnswered(.asConfigured), sendsVariants, !first.observation.isRefused, !isCancelled() else {
      return seen
    }
    try sendVariants(of: first, to: remote, isCancelled: isCancelled, seen: &seen, report: report)
    return seen
  }

  /// The address to send all but the first Hello from. A port that was asked for is taken.
  private var nextSource: SocketAddress? {
    source.map { source in
      var next = source
      next.port = 0
      return next
    }
  }

  private func sendVariants(
    of first: HelloProbe, to remote: Address, isCancelled: () -> Bool, seen: inout Diagnosis.Observations,
    report: (Step) -> Void
  ) throws(UDPError) {
    var probes: [HelloProbe] = []
    for attempt in variants {
      do {
        probes.append(try hello(attempt, to: remote, from: nextSource, measuresPath: false))
      } catch {
        // The first Hello had a socket, so this is a lack of descriptors. Without the same Hello,
        // which comes first, the others say nothing.
        _ = try error.failure()
        if probes.isEmpty { return }
      }
    }
    // A port that is normally closed, as traceroute's.
    let neighbor = try? ProbeSocket(to: remote.withPort(33_434), from: nextSource, configure: configureSocket)
    _ = neighbor?.send([])
    try run(probes, late: first, isCancelled: isCancelled)
    guard !isCancelled() else { return }
    if first.isAnswered {
      seen.attempts[0] = first.observation
      report(.observed(first.observation))
    }
    for probe in probes {
      seen.attempts.append(probe.observation)
      report(.observed(probe.observation))
    }
    // A port that has answered needs no comparison.
    guard let neighbor, remote.port != 33_434, !seen.attempts.contains(where: \.isHeard) else { return }
    let reports = neighbor.receive { _ in } + neighbor.reports()
    let answers = reports.contains { $0.kind == .portUnreachable }
    seen.hostAnswers = answers
    report(.hostAnswers(answers))
  }

  private enum Obstacle: Error {
    case failed(ProbeFailure)
    case invalid(UDPError)

    /// Returns the failure of the system.
    ///
    /// - Throws: the error of the caller.
    func failure() throws(UDPError) -> ProbeFailure {
      switch self {
      case .failed(let failure): return failure
      case .invalid(let error): throw error
      }
    }
  }

  private func hello(
    _ attempt: ProbeAttempt, to remote: Address, from source: SocketAddress?, measuresPath: Bool
  ) throws(Obstacle) -> HelloProbe {
    let socket: ProbeSocket
    do { socket = try ProbeSocket(to: remote, from: source, configure: configureSocket) } catch {
      throw .failed(error)
    }
    do {
      return try HelloProbe(
        attempt, to: key, by: socket, configuration: configuration, measuresPath: measuresPath)
    } catch {
      throw .invalid(.configuration(error))
    }
  }

  /// Runs probes until all are answered, or the time is over. The answer to an earlier probe may
  /// come late; nothing more is sent for it.
  private func run(
    _ probes: [HelloProbe], late: HelloProbe? = nil, isCancelled: () -> Bool
  ) throws(UDPError) {
    var end = Instant.loopTime.advanced(by: patience)
    for probe in probes {
      do { try probe.start(at: .loopTime) } catch { throw .open(error) }
    }
    var wasAnswered = false
    while !isCancelled() {
      let now = Instant.loopTime
      guard now < end else { return }
      if !wasAnswered, probes.allSatisfy(\.isAnswered) {
        // Reports about large datagrams come from routers on the way, sooner than X2, but for the
        // narrower links behind the first one.
        guard measuresPath, probes.count == 1 else { return }
        wasAnswered = true
        end = min(end, now.advanced(by: .milliseconds(200)))
      }
      let next = probes.compactMap(\.nextDeadline).min() ?? end
      wait(
        for: probes + (late.map { [$0] } ?? []), until: min(min(next, end), now.advanced(by: .milliseconds(100))),
        from: now)
      late?.receive(at: .loopTime)
      for probe in probes {
        probe.receive(at: .loopTime)
        if let deadline = probe.nextDeadline, deadline <= .loopTime { probe.advance(at: .loopTime) }
      }
    }
  }

  /// Waits until one of the sockets has something.
  private func wait(for probes: [HelloProbe], until end: Instant, from now: Instant) {
    var descriptors = probes.map { pollfd(fd: $0.socket.descriptor, events: Int16(POLLIN), revents: 0) }
    let time = max(1, (now.duration(to: end).nanoseconds + 999_999) / 1_000_000)
    // An interrupted wait is a short one.
    _ = descriptors.withUnsafeMutableBufferPointer { list in
      poll(list.baseAddress, nfds_t(list.count), CInt(clamping: time))
    }
  }
}

extension Address {
  /// Returns the same host with another port.
  fileprivate func withPort(_ port: UInt16) -> Address {
    switch family {
    case .ipv4: Address(ipv4: UInt32(truncatingIfNeeded: low), port: port)
    case .ipv6: Address(ipv6: high, low, port: port, scope: scope)
    }
  }
}
