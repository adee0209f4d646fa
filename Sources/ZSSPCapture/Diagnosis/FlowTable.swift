// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// The datagrams between two addresses.
package struct Flow {
  /// The sender of the first datagram, and the other side.
  package let first: Address
  package let second: Address
  /// The addresses as text, for lines of output: from the first side, and to it.
  package let forwardText: [UInt8]
  package let backwardText: [UInt8]
  package internal(set) var datagrams: UInt64 = 0
  package internal(set) var bytes: UInt64 = 0
  /// True if the table's hand has passed since the flow was used last.
  var isOld = false
  /// True if datagrams of the flow are those of ZSSP.
  var isZSSP = false
  /// The Hellos from each side.
  var hellos = (HelloRecord(), HelloRecord())
  /// The size of the largest IP packet that the path takes, as ICMP says it.
  var pathMTU: Int?
  /// K1 and K2 without the packet that follows them, from each side.
  var rekeys = (RekeyRecord(), RekeyRecord())
  /// The numbers of datagrams that came before, from each side.
  var lastFrame: UInt64 = 0
  var lastTime: Int64 = 0

  init(first: Address, second: Address) {
    self.first = first
    self.second = second
    let pair = ["\(first)", "\(second)"]
    forwardText = Array("\(pair[0]) > \(pair[1])".utf8)
    backwardText = Array("\(pair[1]) > \(pair[0])".utf8)
  }
}

/// The Hellos of one side of a flow.
struct HelloRecord {
  /// The counter in the header of the last Hello, and its key id when it was seen whole.
  var counter: UInt64?
  var keyID = KeyID.none
  /// Copies of Hellos since the last answer, with the frame and the times of the first and last.
  var unanswered = 0
  var firstFrame: UInt64 = 0
  var firstTime: Int64 = 0
  var lastTime: Int64 = 0
  /// True if anything ever came back.
  var wasAnswered = false
  /// Different Hellos since the other side sent anything but X2.
  var attempts = 0
  /// Challenges that came in answer to Hellos which answer a challenge, in a row.
  var challengesAgain = 0
  var answersChallenge = false
}

/// The packets of re-keys that one side repeats.
struct RekeyRecord {
  var initsInARow = 0
  var completesInARow = 0
}

/// A bounded table of flows. When it is full, a CLOCK sweep evicts the first flow that was not used
/// since the hand last passed.
struct FlowTable {
  private struct Key: Hashable {
    let low: Address
    let high: Address

    init(_ one: Address, _ other: Address) {
      let isOrdered = Self.isLess(one, other)
      low = isOrdered ? one : other
      high = isOrdered ? other : one
    }

    private static func isLess(_ one: Address, _ other: Address) -> Bool {
      if one.low != other.low { return one.low < other.low }
      if one.high != other.high { return one.high < other.high }
      return one.port < other.port
    }
  }

  let capacity: Int
  private(set) var flows: [Flow] = []
  private var places: [Key: Int] = [:]
  private var hand = 0
  /// The last flow that was found: datagrams of one flow come in a row.
  private var lastKey: Key?
  private var lastPlace = 0
  /// The number of evicted flows.
  private(set) var evicted = 0

  init(capacity: Int) { self.capacity = max(1, capacity) }

  /// Returns the place of a flow; nil if there is none.
  mutating func find(_ source: Address, to destination: Address) -> Int? {
    let key = Key(source, destination)
    if key == lastKey {
      flows[lastPlace].isOld = false
      return lastPlace
    }
    guard let place = places[key] else { return nil }
    lastKey = key
    lastPlace = place
    flows[place].isOld = false
    return place
  }

  /// Adds a flow.
  ///
  /// - Returns: its place, and the flow that was evicted for it.
  mutating func add(_ source: Address, to destination: Address) -> (place: Int, evicted: Flow?) {
    let flow = Flow(first: source, second: destination)
    let key = Key(source, destination)
    if flows.count < capacity {
      flows.append(flow)
      places[key] = flows.count - 1
      return (flows.count - 1, nil)
    }
    while !flows[hand].isOld {
      flows[hand].isOld = true
      hand = (hand + 1) % flows.count
    }
    let place = hand
    let old = flows[place]
    places[Key(old.first, old.second)] = nil
    if lastPlace == place { lastKey = nil }
    flows[place] = flow
    places[key] = place
    hand = (hand + 1) % flows.count
    evicted += 1
    return (place, old)
  }

  /// Returns the addresses of a datagram as text. For an error of ICMP they are those of the
  /// datagram that it is about.
  func text(of event: borrowing DatagramEvent) -> [UInt8] {
    event.fromFirst ? flows[event.flow].forwardText : flows[event.flow].backwardText
  }

  subscript(_ place: Int) -> Flow {
    _read { yield flows[place] }
    _modify { yield &flows[place] }
  }
}
