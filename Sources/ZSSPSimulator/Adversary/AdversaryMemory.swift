// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A packet that the adversary has seen, with those of its fragments that were sent.
struct Sighting: Sendable {
  let type: PacketType
  /// The peers that it went from and to.
  let from, to: Int
  /// The addressee's name for the key; ``KeyID/none`` for a Hello.
  let keyID: KeyID
  /// The counter of its header.
  let counter: UInt64
  /// When it was seen first.
  let firstSeen: Instant
  /// Its fragments as they were sent last.
  fileprivate(set) var fragments: [Parcel?]

  /// The fragments that there are.
  var parcels: [Parcel] { fragments.compactMap(\.self) }
}

/// What the adversary remembers: everything of handshakes and re-keys, for ever, and a sample of the rest.
///
/// A packet that is sent again is the same packet. Of packets that are sent anew each time, with a counter of their own, as C1 is,
/// the latest ``sampleSize`` of each direction are kept.
struct AdversaryMemory: Sendable {
  /// So many packets of each direction are kept of types that are sent anew again and again.
  static let sampleSize = 64
  /// The packets of which there is one for each handshake or re-key, kept for ever.
  static let unforgotten: Set<PacketType> = [.hello, .response, .completion, .rekeyInit, .rekeyComplete, .rejected]

  private struct Key: Hashable {
    let flow: Int
    let type: PacketType
    let keyID: KeyID
    let counter: UInt64
  }

  private struct Place: Hashable {
    let flow: Int
    let type: PacketType
  }

  private let peers: Int
  private var sightings: [Sighting] = []
  private var places: [Key: Int] = [:]
  private var order: [Place: [Int]] = [:]

  /// Nothing was seen of `peers` peers.
  init(peers: Int) { self.peers = peers }

  /// How many packets are remembered.
  var count: Int { sightings.count }

  /// A packet by the number that ``see(_:_:from:to:at:)`` gave it.
  subscript(number: Int) -> Sighting { sightings[number] }

  /// Remembers a datagram.
  ///
  /// - Returns: the number of its packet, the same for all its fragments and for each time that it is sent.
  mutating func see(_ parcel: Parcel, _ label: PacketLabel, from: Int, to: Int, at now: Instant) -> Int {
    let place = Place(flow: from * peers + to, type: label.type)
    let keyID = KeyID(parcel.bytes.rawBytes)
    let key = Key(flow: place.flow, type: label.type, keyID: keyID, counter: label.counter)
    if let number = places[key] {
      if label.number < sightings[number].fragments.count { sightings[number].fragments[label.number] = parcel }
      return number
    }
    var sighting = Sighting(
      type: label.type, from: from, to: to, keyID: keyID, counter: label.counter, firstSeen: now,
      fragments: Array(repeating: nil, count: label.count))
    sighting.fragments[label.number] = parcel
    let seen = order[place]?.count ?? 0
    guard Self.unforgotten.contains(label.type) || seen < Self.sampleSize else {
      return replaceOldest(in: place, with: sighting, key)
    }
    sightings.append(sighting)
    places[key] = sightings.count - 1
    order[place, default: []].append(sightings.count - 1)
    return sightings.count - 1
  }

  private mutating func replaceOldest(in place: Place, with sighting: Sighting, _ key: Key) -> Int {
    guard var numbers = order[place], let number = numbers.first else { return 0 }
    numbers.removeFirst()
    numbers.append(number)
    order[place] = numbers
    let old = sightings[number]
    places[Key(flow: place.flow, type: old.type, keyID: old.keyID, counter: old.counter)] = nil
    sightings[number] = sighting
    places[key] = number
    return number
  }

  /// The numbers of all packets of a type from one peer to another, in the order in which they were seen first.
  func all(_ type: PacketType, from: Int, to: Int) -> [Int] {
    order[Place(flow: from * peers + to, type: type)] ?? []
  }

  /// When a packet of this type and key id was seen first.
  func firstSeen(_ type: PacketType, from: Int, to: Int, keyID: KeyID) -> Instant? {
    // The latest come last, and are asked about most.
    all(type, from: from, to: to).last { sightings[$0].keyID == keyID }.map { sightings[$0].firstSeen }
  }
}
