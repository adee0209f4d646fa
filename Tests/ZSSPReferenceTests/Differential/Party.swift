// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference

/// A peer of either implementation, driven so that both can be held against each other: everything
/// that it asks is answered at once, and its sessions are numbered in the order of their making.
protocol Party: AnyObject {
  var nextDeadline: Instant? { get }
  func open(to peer: PublicKey, at address: Address, identity: [UInt8], now: Instant)
  func send(_ message: [UInt8], on session: Int, at now: Instant)
  func rekey(_ session: Int, at now: Instant)
  func close(_ session: Int, at now: Instant)
  /// The message that came of a datagram, if one did.
  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> [UInt8]?
  func tick(at now: Instant)
  func takeDatagrams() -> [(address: Address, bytes: [UInt8])]
  func takeEvents() -> [String]
  /// Returns the state of each session, timers included.
  func sessions() -> [Int: String]
}

/// The configuration of a party, whatever its implementation.
struct PartyConfiguration {
  let staticKey: any AgreementPrivateKey
  let provider: any CryptoProvider
  let profile: Profile
  let flags: SecurityFlags
  let policy: HelloPolicy
  let settings: Settings
  let store: FailingStore
  /// Returns true to accept the peer.
  let accepts: () -> Bool

  enum Implementation: CaseIterable {
    case zssp
    case reference
  }

  func make(_ implementation: Implementation) throws -> any Party {
    switch implementation {
    case .zssp: try EndpointParty(self)
    case .reference: ReferenceParty(self)
    }
  }
}

/// A store in memory, some of whose requests fail: which ones is a matter of their number, so that
/// two parties that ask the same see the same.
final class FailingStore: ReferenceStore {
  private var rows: [PublicKey: RatchetRow]
  /// Returns the fate of request number `n`.
  private let fate: (Int) -> Fate
  private var count = 0
  private(set) var log: [String] = []

  enum Fate {
    case works
    case fails
    /// The request takes effect, and is reported as failed.
    case failsAfterwards
  }

  init(_ pairs: [PublicKey: RatchetPair], fate: @escaping (Int) -> Fate) {
    rows = pairs.mapValues { RatchetRow($0) }
    self.fate = fate
  }

  var pairs: [PublicKey: RatchetPair] { rows.mapValues(\.pair) }

  func takeLog() -> [String] {
    defer { log = [] }
    return log
  }

  /// All is lost.
  func forget() { rows = [:] }

  private func perform<Result>(_ name: String, body: () -> Result) throws(StoreFailure) -> Result {
    count += 1
    let fate = fate(count)
    log.append("\(name) \(fate)")
    if fate == .fails { throw StoreFailure() }
    let result = body()
    if fate == .failsAfterwards { throw StoreFailure() }
    return result
  }

  func state(_ first: Fingerprint, _ second: Fingerprint) throws(StoreFailure) -> (
    state: RatchetState, peer: PublicKey
  )? {
    try perform("look up \(first) \(second)") {
      for fingerprint in [first, second] {
        for (peer, pair) in pairs {
          if let state = pair.state(fingerprint) { return (state, peer) }
        }
      }
      return nil
    }
  }

  func row(_ peer: PublicKey) throws(StoreFailure) -> HeldRow { try perform("load") { held(peer) } }

  func swap(
    of peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, since start: UInt64?
  ) throws(StoreFailure) -> Bool {
    try perform("swap \(expected.summary) \(new.summary) since \(start.map { "\($0)" } ?? "now")") {
      rows[peer, default: RatchetRow()].swap(expected: expected, new: new, since: start)
    }
  }

  func revoke(of peer: PublicKey, name: Fingerprint) throws(StoreFailure) -> HeldRow {
    try perform("revoke \(name)") {
      _ = rows[peer]?.revoke(name)
      return held(peer)
    }
  }

  private func held(_ peer: PublicKey) -> HeldRow {
    (rows[peer]?.pair ?? .empty, rows[peer]?.revoked.revision ?? 0)
  }

  /// Answers a request of an endpoint in the same way.
  func answer(_ request: StoreRequest) -> StoreAnswer {
    do {
      switch request {
      case .lookUp(let first, let second):
        return try state(first, second).map { .found($0.state, peer: $0.peer) } ?? .unknown
      case .load(let peer):
        let row = try row(peer)
        return .pair(row.pair, revision: row.revision)
      case .compareAndSwap(let peer, let expected, let new, let start):
        return try swap(of: peer, from: expected, to: new, since: start) ? .swapped : .notSwapped
      case .revoke(let name, let peer):
        let row = try revoke(of: peer, name: name)
        return .pair(row.pair, revision: row.revision)
      }
    } catch { return .failed }
  }
}

extension RatchetPair {
  var summary: String {
    "(\(state1.fingerprint)·\(state1.chainLength)\(state2.map { " \($0.fingerprint)·\($0.chainLength)" } ?? ""))"
  }
}
