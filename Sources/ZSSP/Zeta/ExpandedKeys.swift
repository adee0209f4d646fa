// SPDX-License-Identifier: Apache-2.0

/// Which sessions have keyed objects, that is keys expanded for use: so many at most, those that were used lately.
///
/// A keyed object takes up to some kilobytes, the key itself 32 bytes, and to expand it again costs about as much as to fetch the
/// expanded one from memory. So the number is bounded, not the time: no timer is needed, and nothing depends on when a packet comes.
/// A use sets one mark. Who needs a place when all are taken gets that of a session which was not used since the hand came by
/// last; the hand takes the marks away as it goes round (the "clock" approximation of the least recently used).
/// Only what is plausible (section 5) counts as a use, so that nobody but the peer changes what is kept.
struct ExpandedKeys {
  private let limit: Int
  private var holders: [Session] = []
  private var isUsed: [Bool] = []
  private var hand = 0

  /// Nothing is kept yet, and at most `limit` sessions will be.
  init(limit: Int) { self.limit = limit }

  /// How many sessions have expanded keys.
  var count: Int { holders.count }

  /// The keys of a session are used: they may be expanded and kept from now on.
  mutating func use(_ session: Session) {
    let place = session.placeOfExpanded
    if place >= 0 { isUsed[place] = true } else { add(session) }
  }

  private mutating func add(_ session: Session) {
    if holders.count < limit {
      session.placeOfExpanded = holders.count
      holders.append(session)
      isUsed.append(true)
      return
    }
    while isUsed[hand] {
      isUsed[hand] = false
      advance()
    }
    holders[hand].giveUpExpandedKeys()
    holders[hand].placeOfExpanded = -1
    holders[hand] = session
    session.placeOfExpanded = hand
    isUsed[hand] = true
    advance()
  }

  private mutating func advance() { hand = hand + 1 < holders.count ? hand + 1 : 0 }

  /// The places that the hand comes to first when `count` sessions need one; none while there are free ones.
  func next(_ count: Int) -> Range<Int> {
    holders.count < limit ? 0..<0 : hand..<min(hand + count, holders.count)
  }

  /// The session in a place, without a counted reference: good until the next use.
  @inline(__always)
  func holder(_ place: Int) -> Unmanaged<Session> { unsafe Unmanaged.passUnretained(holders[place]) }

  /// Gives up the keys of a session, and its place.
  mutating func remove(_ session: Session) {
    let place = session.placeOfExpanded
    guard place >= 0 else { return }
    session.giveUpExpandedKeys()
    session.placeOfExpanded = -1
    let (last, lastIsUsed) = (holders.removeLast(), isUsed.removeLast())
    if last !== session {
      holders[place] = last
      isUsed[place] = lastIsUsed
      last.placeOfExpanded = place
    }
    if hand >= holders.count { hand = 0 }
  }
}

extension Session {
  /// Gives up all keyed objects. They are made again when they are used.
  func giveUpExpandedKeys() {
    headerKeys?.giveUpExpanded()
    currentKey?.giveUpExpanded()
    otherKey?.giveUpExpanded()
  }
}

extension Endpoint {
  /// The key that protects the session's headers; nil before there is one.
  mutating func headerSendingKey(_ session: Session) -> (any HeaderKey)? {
    guard session.headerKeys != nil else { return nil }
    expandedKeys.use(session)
    return session.headerKeys?.sendingKey(provider)
  }

  /// A header of the session's peer was uncovered: its keys are in use.
  mutating func keep(_ headerKey: any HeaderKey, of session: Session) {
    expandedKeys.use(session)
    session.headerKeys?.keep(receiving: headerKey)
  }
}
