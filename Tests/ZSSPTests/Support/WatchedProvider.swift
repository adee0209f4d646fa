// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Keyed objects, by whose they are, for as long as somebody holds them.
final class KeyWatch: @unchecked Sendable {
  // The endpoints of a test are driven on one thread.
  private struct Weak {
    weak var key: AnyObject?
  }
  private var packetKeys: [Weak] = []
  private var headerKeys: [Weak] = []

  /// The number of packet keys that were made.
  private(set) var made = 0
  /// The number of header keys that were made.
  private(set) var headerKeysMade = 0

  func note(packetKey: AnyObject) {
    made += 1
    packetKeys.removeAll { $0.key == nil }
    packetKeys.append(Weak(key: packetKey))
  }
  func note(headerKey: AnyObject) {
    headerKeysMade += 1
    headerKeys.removeAll { $0.key == nil }
    headerKeys.append(Weak(key: headerKey))
  }
  var livePacketKeys: Int { packetKeys.count { $0.key != nil } }
  var liveHeaderKeys: Int { headerKeys.count { $0.key != nil } }
}

/// Another provider, but its keyed objects are watched.
struct WatchedProvider: DerivedProvider {
  let base: any CryptoProvider
  let watch: KeyWatch

  func packetKey(_ key: Secret) -> any PacketKey {
    let made = base.packetKey(key)
    watch.note(packetKey: made)
    return made
  }
  func headerKey(_ key: Secret) -> any HeaderKey {
    let made = base.headerKey(key)
    watch.note(headerKey: made)
    return made
  }
}
