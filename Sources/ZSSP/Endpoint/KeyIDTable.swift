// SPDX-License-Identifier: Apache-2.0

/// Finds the owner of a key id by open addressing with linear probing.
///
/// This endpoint draws the ids at random, so they serve as their own hashes, and no peer can
/// cause collisions. All ids have the same shard bits, which the hash leaves out. The node bits are
/// higher than the table's size.
struct KeyIDTable {
  private struct Slot {
    var keyID: UInt32
    var owner: Owner
  }

  private let pattern: KeyIDPattern
  private var slots: [Slot?] = Array(repeating: nil, count: 16)
  private var mask = 15
  /// The number of ids in use.
  private(set) var count = 0

  /// Creates an empty table for ids of a pattern.
  init(_ pattern: KeyIDPattern) { self.pattern = pattern }

  // [DEC-22]
  /// The largest number of sessions and half-open handshakes.
  var ownerLimit: Int { pattern.ownerLimit }

  /// Returns the index of an id without collisions.
  private func home(_ keyID: UInt32) -> Int { Int(keyID >> UInt32(pattern.shardBits)) & mask }

  // [KID-1]
  /// Draws a random non-zero key id that is not in use, for an owner (section 4). It has the bits
  /// of the shard and the node. At most half of the ids are in use.
  mutating func draw(for owner: Owner, _ provider: any CryptoProvider) -> KeyID {
    while true {
      let keyID = pattern.keyID(provider.randomInteger(UInt32.self))
      // [KID-2]
      guard keyID != .none, !contains(keyID) else { continue }
      set(keyID, to: owner)
      return keyID
    }
  }

  /// The number of slots to look at to find every id, for tests.
  var probes: Int {
    slots.indices.reduce(0) { sum, index in
      slots[index].map { sum + ((index - home($0.keyID)) & mask) + 1 } ?? sum
    }
  }

  subscript(keyID: KeyID) -> Owner? {
    var index = home(keyID.value)
    while let slot = slots[index] {
      if slot.keyID == keyID.value { return slot.owner }
      index = (index + 1) & mask
    }
    return nil
  }

  /// Returns true if the id is in use.
  func contains(_ keyID: KeyID) -> Bool { self[keyID] != nil }

  /// Adds an id, or changes its owner.
  mutating func set(_ keyID: KeyID, to owner: Owner) {
    if 2 * (count + 1) > slots.count { grow() }
    var index = home(keyID.value)
    while let slot = slots[index], slot.keyID != keyID.value { index = (index + 1) & mask }
    if slots[index] == nil { count += 1 }
    slots[index] = Slot(keyID: keyID.value, owner: owner)
  }

  /// Removes an id, and closes the gap that this leaves for probing.
  mutating func remove(_ keyID: KeyID) {
    var gap = home(keyID.value)
    while let slot = slots[gap], slot.keyID != keyID.value { gap = (gap + 1) & mask }
    guard slots[gap] != nil else { return }
    count -= 1
    slots[gap] = nil
    var index = (gap + 1) & mask
    while let slot = slots[index] {
      let home = home(slot.keyID)
      // Move the slot into the gap unless its home lies after the gap.
      if (index - home) & mask >= (index - gap) & mask {
        slots[gap] = slot
        slots[index] = nil
        gap = index
      }
      index = (index + 1) & mask
    }
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: nil, count: 2 * old.count)
    mask = slots.count - 1
    count = 0
    for case .some(let slot) in old { set(KeyID(value: slot.keyID), to: slot.owner) }
  }
}
