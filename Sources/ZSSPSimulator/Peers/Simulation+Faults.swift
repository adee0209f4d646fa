// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A fault of a peer or the network.
enum Fault: Sendable {
  case crash(peer: Int)
  case rebind(peer: Int)
  case leap(peer: Int)
  case partition
}

extension Simulation {
  /// Makes a fault occur at its rate from now on, during turbulence.
  func planFault(_ fault: Fault) {
    let (rate, count) =
      switch fault {
      case .crash: (plan.faults.crashesPerHour, 1)
      case .rebind: (plan.faults.rebindingsPerHour, 1)
      case .leap: (plan.faults.clockLeapsPerHour, 1)
      case .partition: (plan.faults.partitionsPerHour, 1)
      }
    guard rate > 0 else { return }
    let mean = Duration.nanoseconds(Int64(3600e9 / rate) / Int64(count))
    agenda.add(.fault(fault, phase: phase), at: now.advanced(by: faultRandom.interval(mean: mean)))
  }

  func happen(_ fault: Fault) {
    planFault(fault)
    switch fault {
    case .crash(let peer): crash(peers[peer], downtime: plan.faults.downtime)
    case .rebind(let peer): rebind(peers[peer])
    case .leap(let peer): leap(peers[peer])
    case .partition: partition()
    }
  }

  /// Erases the peer's memory. Pending store requests may be executed or not.
  func crash(_ peer: SimulatedPeer, downtime: ClosedRange<Duration>) {
    guard peer.isUp else { return }
    report.crashes += 1
    report.add(peer.endpoint.traffic)
    trace.add(.crash, peer: peer.index, at: now)
    peer.isUp = false
    peer.incarnation += 1
    peer.known = []
    peer.replaced = []
    peer.acceptances = [:]
    peer.cancelled = [:]
    if faultRandom.chance(0.5) { peer.forgottenWrites = peer.incarnation }
    if faultRandom.chance(plan.faults.storeLoss) { loseStore(peer) }
    let time = now.advanced(by: faultRandom.duration(downtime))
    agenda.add(.restart(peer: peer.index, incarnation: peer.incarnation), at: time)
  }

  /// Loses the store's rows for peers that are not locked out by that.
  private func loseStore(_ peer: SimulatedPeer) {
    peer.forgottenWrites = peer.incarnation
    let lost = peer.neighbours.filter { !isPersistent(peer.index, $0) }
    guard !lost.isEmpty else { return }
    report.storesLost += 1
    trace.add(.storeLost, peer: peer.index, at: now)
    for other in lost where peer.store.pair(peers[other].publicKey) != .empty {
      peer.store.remove(peers[other].publicKey)
      excuse(peer.index, other)
    }
  }

  func restart(_ peer: SimulatedPeer) {
    guard !peer.isUp,
      let endpoint = try? factory(peer.index, environment(of: peer.index, configuration: peer.configuration))
    else {
      return
    }
    trace.add(.restart, peer: peer.index, at: now)
    peer.endpoint = endpoint
    peer.isUp = true
    peer.wake = .distantFuture
    settle(peer)
  }

  private func rebind(_ peer: SimulatedPeer) {
    report.rebindings += 1
    peer.address = SimulatedPeer.home(peer.index, port: peer.address.port &+ 1)
    peer.movedAt = now
    trace.add(.rebind, peer: peer.index, Int(peer.address.port), at: now)
  }

  private func leap(_ peer: SimulatedPeer) {
    report.clockLeaps += 1
    let duration = faultRandom.duration(plan.faults.clockLeap)
    trace.add(.leap, peer: peer.index, at: now)
    peer.clock.leap(duration, at: now)
    wake(peer)
  }

  /// Cuts off a pair, or a peer from all others, in one direction or both.
  private func partition() {
    report.partitions += 1
    let end = now.advanced(by: faultRandom.duration(plan.faults.partition))
    let isolates = faultRandom.chance(0.3)
    let both = faultRandom.chance(0.6)
    let (low, high) = links[faultRandom.below(links.count)]
    trace.add(.partition, peer: low, high, isolates ? 1 : 0, at: now)
    for other in 0..<plan.peers where other == high || isolates && other != low {
      blockedUntil[flow(from: low, to: other)] = end
      if both { blockedUntil[flow(from: other, to: low)] = end }
    }
  }
}
