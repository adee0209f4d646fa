// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A packet that the adversary has seen, with its fragments that were sent.
struct Sighting: Sendable {
  let type: PacketType
  /// The sender and the addressee, by index.
  let from, to: Int
  /// The addressee's key id; ``KeyID/none`` for a Hello.
  let keyID: KeyID
  /// The counter of its header.
  let counter: UInt64
  /// The time when it was first seen.
  let firstSeen: Instant
  /// Its fragments as last sent; nil for those not seen.
  fileprivate(set) var fragments: [Parcel?]

  /// The fragments that were seen.
  var parcels: [Parcel] { fragments.compactMap(\.self) }
}

/// The adversary's memory: all packets of handshakes and re-keys, permanently, and a sample of the
/// others.
///
/// A packet that is sent again is the same packet. Some packets, such as C1, are made anew each
/// time, with another counter. Of these the latest ``sampleSize`` of each direction are kept.
struct AdversaryMemory: Sendable {
  /// The number of kept packets per direction, for types that are made anew each time.
  static let sampleSize = 64
  /// The types with one packet per handshake or re-key, which are kept permanently.
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

  /// Makes an empty memory for `peers` peers.
  init(peers: Int) { self.peers = peers }

  /// The number of remembered packets.
  var count: Int { sightings.count }

  /// The packet with a number that ``see(_:label:from:to:at:)`` returned.
  subscript(number: Int) -> Sighting { sightings[number] }

  /// Remembers a datagram.
  ///
  /// - Returns: The number of its packet, which is the same for all its fragments and repetitions.
  mutating func see(_ parcel: Parcel, label: PacketLabel, from: Int, to: Int, at now: Instant) -> Int {
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

  /// Returns the numbers of all packets of a type from one peer to another, in the order in which
  /// they were first seen.
  func all(_ type: PacketType, from: Int, to: Int) -> [Int] {
    order[Place(flow: from * peers + to, type: type)] ?? []
  }

  /// Returns the time when a packet of this type and key id was first seen; nil if never.
  func firstSeen(_ type: PacketType, from: Int, to: Int, keyID: KeyID) -> Instant? {
    // The latest are last, and are requested most often.
    all(type, from: from, to: to).last { sightings[$0].keyID == keyID }.map { sightings[$0].firstSeen }
  }
}
