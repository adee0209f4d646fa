// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// Identifies a session: several ``Session`` objects may represent the same one.
struct SessionPlace: Hashable, Sendable {
  let shard: Int
  let id: SessionID
}

extension Session {
  /// The identity of the session.
  var place: SessionPlace { SessionPlace(shard: shard, id: id) }
}
