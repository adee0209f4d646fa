// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// Which session something is about: several objects may stand for one.
struct SessionPlace: Hashable, Sendable {
  let shard: Int
  let id: SessionID
}

extension Session {
  /// Where it is.
  var place: SessionPlace { SessionPlace(shard: shard, id: id) }
}
