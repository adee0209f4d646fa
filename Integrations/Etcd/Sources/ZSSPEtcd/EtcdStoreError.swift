// SPDX-License-Identifier: Apache-2.0

/// Why etcd cannot be used as a ratchet store. Its description says what to do, and contains no secrets.
public enum EtcdStoreError: Error, Sendable, Equatable {
  /// A location that does not say where the store is, or an option that it cannot have.
  case badLocation(String, reason: String)
  /// A file that an option names cannot be used.
  case badFile(path: String, reason: String)
  /// No node answered, or not in time.
  case unreachable(reason: String)
  /// A node answered that it will not do it: the user, the password, the permissions, the space.
  case refused(reason: String)
  /// There is no store under this prefix.
  case missing(prefix: String)
  /// Something else lies under this prefix.
  case notOurs(prefix: String)
  /// A store of a later version of this package.
  case newer(version: UInt32, known: UInt32)
  /// A store whose content is damaged.
  case damaged(reason: String)
  /// The store under this prefix is not the one that was opened: it was removed, or the cluster was set back to an older state.
  case replaced(prefix: String)
  /// A key for the states at rest that has another size than 32 bytes.
  case keySize(Int)
  /// The states are encrypted, and no key was given.
  case keyNeeded(prefix: String)
  /// A key was given, and the states are not encrypted.
  case keyNotNeeded(prefix: String)
  /// The states are encrypted under another key.
  case wrongKey(prefix: String)
  /// States were to be stored for peers that have others already.
  case conflict(peers: Int)
  /// Only so many rows were stored before etcd failed. To store all of them again does no harm.
  case incomplete(stored: Int, of: Int, reason: String)
  /// The store was closed.
  case closed
}

extension EtcdStoreError: CustomStringConvertible {
  /// What is wrong, and what to do.
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
