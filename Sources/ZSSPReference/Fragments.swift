// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 5: ZFP. Cutting packets, protecting headers, and putting packets together again.

/// The 16 bytes in front of every fragment.
struct Header {
  var keyID: KeyID
  var number, count: Int
  // [PKT-3]
  var reserved: UInt8 = 0
  var type: UInt8
  var counter: UInt64

  static let largestCount = 48

  init(to keyID: KeyID, _ number: Int, of count: Int, type: PacketType, counter: UInt64) {
    self.keyID = keyID
    self.number = number
    self.count = count
    self.type = type.rawValue
    self.counter = counter
  }

  /// Reads a header without protection.
  init(_ datagram: [UInt8]) throws(ReferencePeer.Drop) {
    keyID = KeyID(integer(datagram[0..<4]))
    number = Int(datagram[4])
    count = Int(datagram[5])
    reserved = datagram[6]
    type = datagram[7]
    counter = integer(datagram[8..<16])
    // "0…count−1", "1…48 (a receiver drops more)"
    // [FRAG-2] [FRAG-18]
    guard number < count, count <= Self.largestCount else { throw .malformed }
  }

  // [FRAG-3]
  var bytes: [UInt8] {
    bigEndian(keyID) + [UInt8(number), UInt8(count), reserved, type] + bigEndian(counter)
  }

  // [PKT-4]
  /// "`reserved` is not checked on receipt, but it is part of the AEAD nonce."
  var nonce: Nonce { Nonce(type: type, counter: counter, reserved: reserved) }

  /// Returns true if both belong to the same packet: the same key and the same packet nonce.
  func isOfSamePacket(as other: Header) -> Bool {
    keyID == other.keyID && nonce == other.nonce
  }
}

// [FRAG-6]
/// "The first `n mod count` carry `floor(n/count) + 1` bytes, the others `floor(n/count)`."
func fragmentSizes(of n: Int, count: Int) -> [Int] {
  (0..<count).map { n / count + ($0 < n % count ? 1 : 0) }
}

/// Cuts a packet into datagrams of at most `mtu` bytes. With a header key, their headers are
/// protected.
func fragments(
  of packet: [UInt8], type: PacketType, counter: UInt64, to keyID: KeyID, mtu: Int, headerKey: [UInt8]?,
  crypto: Primitives
) -> [[UInt8]] {
  // [FRAG-5]
  let count = (packet.count + mtu - 17) / (mtu - 16)
  var rest = packet[...]
  return fragmentSizes(of: packet.count, count: count).enumerated().map { number, size in
    let datagram = Header(to: keyID, number, of: count, type: type, counter: counter).bytes + rest.prefix(size)
    rest = rest.dropFirst(size)
    // [HDR-7]
    guard let headerKey else { return datagram }
    // "Bytes 4..<20 of every fragment are encrypted as one raw AES-256 block with the sender's
    // header key."
    // [HDR-1]
    return datagram[0..<4] + crypto.encrypt(headerKey, block: Array(datagram[4..<20])) + datagram[20...]
  }
}

/// Removes header protection.
func unprotected(_ datagram: [UInt8], headerKey: [UInt8], crypto: Primitives) -> [UInt8] {
  datagram[0..<4] + crypto.decrypt(headerKey, block: Array(datagram[4..<20])) + datagram[20...]
}

/// A packet with missing fragments.
struct IncompletePacket {
  let header: Header
  let startedAt: Instant
  private(set) var parts: [Int: [UInt8]] = [:]
  /// The size of the fragment that arrived first.
  private var firstSize: Int?

  init(_ header: Header, at now: Instant) {
    self.header = header
    startedAt = now
  }

  /// "Duplicate fragments, a changed fragment count, and oversize are dropped without disturbing
  /// what is there."
  mutating func add(_ header: Header, payload: [UInt8]) throws(ReferencePeer.Drop) {
    // [FRAG-15]
    guard fits(header, payload: payload) else { throw .malformed }
    // [FRAG-15]
    guard parts[header.number] == nil else { throw .duplicateFragment }
    parts[header.number] = payload
    firstSize = firstSize ?? payload.count
  }

  /// Returns true if the size of a fragment is consistent: the sizes of one packet's fragments
  /// differ by one at most.
  func fits(_ header: Header, payload: [UInt8]) -> Bool {
    header.count == self.header.count && abs((firstSize ?? payload.count) - payload.count) <= 1
  }

  var isComplete: Bool { parts.count == header.count }

  /// Returns the packet, if its fragments have the prescribed sizes.
  func assembled() throws(ReferencePeer.Drop) -> [UInt8] {
    let inOrder = (0..<header.count).map { parts[$0] ?? [] }
    let packet = inOrder.flatMap(\.self)
    // [FRAG-6]
    guard inOrder.map(\.count) == fragmentSizes(of: packet.count, count: header.count) else { throw .malformed }
    return packet
  }
}

/// The incomplete packets of one session, or the X3 of one half-open handshake.
struct Reassembly {
  /// "64 slots by counter mod 64, a newer counter evicts an older one"; for X3 there is one.
  let slots: UInt64
  /// A packet that must be longer than this is oversize.
  var largestPacket = Int.max
  /// Section 14: for X3, a fragment that does not fit restarts the packet.
  var beginsAnew = false
  private var packets: [UInt64: IncompletePacket] = [:]

  init(slots: Int, largestPacket: Int = .max, beginsAnew: Bool = false) {
    self.slots = UInt64(slots)
    self.largestPacket = largestPacket
    self.beginsAnew = beginsAnew
  }

  /// Inserts a fragment. Returns the packet if it is complete.
  mutating func insert(
    _ header: Header, payload: [UInt8], at now: Instant
  ) throws(ReferencePeer.Drop) -> [UInt8]? {
    if header.count == 1 { return payload }
    let slot = header.counter % slots
    var packet = IncompletePacket(header, at: now)
    if let held = packets[slot] {
      if held.header.isOfSamePacket(as: header) {
        // [DEC-9]
        if !beginsAnew || held.fits(header, payload: payload) { packet = held }
      } else if held.header.counter >= header.counter {
        // [FRAG-14]
        throw .noRoom
      }
    }
    // The other fragments are at most one byte shorter.
    // [FRAG-15]
    guard payload.count - 1 <= (largestPacket - 1) / header.count else { throw .malformed }
    try packet.add(header, payload: payload)
    packets[slot] = packet.isComplete ? nil : packet
    return packet.isComplete ? try packet.assembled() : nil
  }

  // [FRAG-16]
  /// "Incomplete packets expire after 5 s."
  mutating func expire(_ timeout: Duration, at now: Instant) {
    packets = packets.filter { $0.value.startedAt.advanced(by: timeout) > now }
  }

  mutating func removeAll() { packets = [:] }

  // [DEC-39]
  /// Drops the packets that arrived under an erased key.
  mutating func removeAll(under keyID: KeyID) { packets = packets.filter { $0.value.header.keyID != keyID } }

  /// The time when the oldest packet was begun; nil if there is none.
  var oldest: Instant? { packets.values.map(\.startedAt).min() }
}

/// The one buffer for the X1 fragments of all strangers, "keyed by (source address, packet nonce)".
///
/// Section 14: "The size of X1 is known, so the size and place of each of its fragments is too: a
/// fragment that does not fit is dropped at once." And: "The source with most of them loses its
/// oldest."
struct HelloReassembly {
  let packetLimit, fragmentLimit: Int
  /// The Hellos, in order of arrival.
  private var hellos: [(source: Address, packet: IncompletePacket)] = []

  init(packetLimit: Int, fragmentLimit: Int) {
    self.packetLimit = packetLimit
    self.fragmentLimit = fragmentLimit
  }

  /// Inserts a fragment. Returns X1 if it is complete.
  mutating func insert(
    _ header: Header, payload: [UInt8], from source: Address, at now: Instant
  ) throws(ReferencePeer.Drop) -> [UInt8]? {
    // [DEC-16] [XK-7]
    guard payload.count == fragmentSizes(of: Size.x1, count: header.count)[header.number] else { throw .malformed }
    if header.count == 1 { return payload }
    // [FRAG-10]
    func isThis(_ other: (source: Address, packet: IncompletePacket)) -> Bool {
      other.source == source && other.packet.header.isOfSamePacket(as: header)
    }
    let known = hellos.first(where: isThis)
    var packet = known?.packet ?? IncompletePacket(header, at: now)
    try packet.add(header, payload: payload)
    // "The source with most of them, the new one included, loses its oldest": most packets, or most
    // fragments.
    while true {
      // [DEC-25] [FRAG-9]
      let isFull = known == nil && hellos.count >= packetLimit
      guard isFull || fragmentCount >= fragmentLimit else { break }
      let others = hellos.filter { !isThis($0) }
      let all = others + [(source, packet)]
      let heaviest = Source.heaviest(
        all.flatMap { repeatElement(Source($0.source), count: isFull ? 1 : $0.packet.parts.count) },
        of: others.map { Source($0.source) })
      guard let oldest = hellos.firstIndex(where: { !isThis($0) && heaviest.contains(Source($0.source)) }) else {
        break
      }
      hellos.remove(at: oldest)
    }
    if packet.isComplete {
      hellos.removeAll(where: isThis)
      return try packet.assembled()
    }
    if let index = hellos.firstIndex(where: isThis) {
      hellos[index].packet = packet
    } else {
      hellos.append((source, packet))
    }
    return nil
  }

  private var fragmentCount: Int { hellos.reduce(0) { $0 + $1.packet.parts.count } }

  var count: Int { hellos.count }
  var oldest: Instant? { hellos.first?.packet.startedAt }

  // [FRAG-16]
  mutating func expire(_ timeout: Duration, at now: Instant) {
    hellos.removeAll { $0.packet.startedAt.advanced(by: timeout) <= now }
  }
}
