// SPDX-License-Identifier: Apache-2.0

/// The reason why etcd cannot be used as a ratchet store. Its description says what to do, and
/// contains no secrets.
public enum EtcdStoreError: Error, Sendable, Equatable {
  /// The location or an option is invalid.
  case badLocation(String, reason: String)
  /// A file that an option names cannot be used.
  case badFile(path: String, reason: String)
  /// No node answered in time.
  case unreachable(reason: String)
  /// A node refused the request, because of the user, the password, the permissions or the space.
  case refused(reason: String)
  /// No store exists under this prefix.
  case missing(prefix: String)
  /// The keys under this prefix are not those of a store.
  case notOurs(prefix: String)
  /// The store was made by a later version of this package.
  case newer(version: UInt32, known: UInt32)
  /// The content of the store is damaged.
  case damaged(reason: String)
  /// The store under this prefix is not the one that was opened. It was removed, or the cluster was
  /// restored to an older state.
  case replaced(prefix: String)
  /// The key for states at rest is not 32 bytes long.
  case keySize(Int)
  /// The states are encrypted, but no key was given.
  case keyNeeded(prefix: String)
  /// A key was given, but the states are not encrypted.
  case keyNotNeeded(prefix: String)
  /// The states are encrypted with another key.
  case wrongKey(prefix: String)
  /// Peers already have other states than those to be stored.
  case conflict(peers: Int)
  /// etcd failed after this many rows were stored. Storing all of them again is safe.
  case incomplete(stored: Int, of: Int, reason: String)
  /// The store was closed.
  case closed
}

extension EtcdStoreError: CustomStringConvertible {
  /// The problem, and what to do.
  public var description: String {
    switch self {
    case .badLocation(let location, let reason): "\(location): \(reason)"
    case .badFile(let path, let reason): "\(path): \(reason)"
    case .unreachable(let reason): "etcd: no answer: \(reason)"
    case .refused(let reason): "etcd: \(reason)"
    case .missing(let prefix): "etcd: there is no ratchet store under \(prefix)"
    case .notOurs(let prefix):
      "etcd: something else than a ratchet store lies under \(prefix); it is left as it is, use another prefix"
    case .newer(let version, let known):
      "etcd: the store has version \(version), which is newer than this program, which knows \(known); use the newer program"
    case .damaged(let reason): "etcd: the ratchet store is damaged: \(reason)"
    case .replaced(let prefix):
      "etcd: what lies under \(prefix) is not the store that was opened: it was removed, or etcd was set back; start this program again if that is meant"
    case .keySize(let count): "a key for the ratchet store has \(count) bytes; it must have 32"
    case .keyNeeded(let prefix): "etcd: the ratchet store under \(prefix) is encrypted; its key is needed"
    case .keyNotNeeded(let prefix):
      "etcd: the ratchet store under \(prefix) is not encrypted, but a key was given; export it and import it into a new one"
    case .wrongKey(let prefix): "etcd: the ratchet store under \(prefix) is encrypted under another key"
    case .conflict(let peers): "etcd: other ratchets are stored for \(peers) of these peers already"
    case .incomplete(let stored, let count, let reason):
      "etcd: \(stored) of \(count) rows are stored, then: \(reason); store them again"
    case .closed: "etcd: the ratchet store was closed"
    }
  }
}
