// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// Which shard has what with which peer.
///
/// An endpoint knows its own sessions with a peer and sees to it that one results. Where there are several shards, a peer
/// that comes back from another address can come to another shard; this is where they learn of each other.
final class PeerDirectory: Sendable {
  /// A session in a shard.
  struct Place: Sendable, Hashable {
    let shard: Int
    let session: SessionID
  }

  private struct Entry {
    /// The newest established session.
    var session: Place?
    /// Attempts of this side.
    var attempts: [Place] = []

    var isEmpty: Bool { session == nil && attempts.isEmpty }
  }

  private let entries = NIOLockedValueBox<[PublicKey: Entry]>([:])

  /// The shard where this side should open a session to a peer: where it has one, or tries to.
  func shard(for peer: PublicKey) -> Int? {
    entries.withLockedValue { entries in entries[peer].flatMap { ($0.session ?? $0.attempts.first)?.shard } }
  }

  /// The attempts of this side to open a session to a peer.
  func attempts(_ peer: PublicKey) -> [Place] { entries.withLockedValue { $0[peer]?.attempts ?? [] } }

  /// An attempt begins.
  func begin(_ place: Place, with peer: PublicKey) {
    entries.withLockedValue { $0[peer, default: Entry()].attempts.append(place) }
  }

  /// A session is established. Returns those that it takes the place of.
  func establish(_ place: Place, with peer: PublicKey) -> [Place] {
    entries.withLockedValue { entries in
      var entry = entries[peer] ?? Entry()
      let older = [entry.session].compactMap { $0 } + entry.attempts
      entry = Entry(session: place)
      entries[peer] = entry
      return older.filter { $0 != place }
    }
  }

  /// A session or an attempt has ended.
  func end(_ place: Place, with peer: PublicKey) {
    entries.withLockedValue { entries in
      guard var entry = entries[peer] else { return }
      if entry.session == place { entry.session = nil }
      entry.attempts.removeAll { $0 == place }
      entries[peer] = entry.isEmpty ? nil : entry
    }
  }
}
