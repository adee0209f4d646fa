// SPDX-License-Identifier: Apache-2.0

/// A bounded queue of admitted Hellos. Sources leave it in turn.
///
/// Networks take turns, and so do the hosts of a network. Hellos of one host leave in order. A
/// network that joins waits until every other network had a turn. A full queue evicts the latest
/// Hello of the network with the most Hellos, if the network of the new one has at least two fewer.
struct HelloQueue: Sendable {
  // [DEC-60]
  /// The largest number of waiting Hellos. They take 0.9 MB.
  static let limit = 512
  // [DEC-60]
  /// The largest number of waiting Hellos of one host. Each comes from a port of its own, so
  /// clients behind one address can wait side by side.
  static let hostLimit = 8

  /// A waiting Hello.
  struct Item: Sendable {
    let hello: [UInt8]
    let address: Address
    fileprivate let source: HelloSource
    fileprivate let expiry: Instant
  }

  private let patience: Duration
  /// The Hellos in order of arrival, which is also their order of expiry.
  private var items: [Item] = []
  private var addresses: Set<Address> = []
  private var census = SourceCensus()
  /// The time when each waiting network and host joined the end of its line, on a clock of turns.
  private var networkTurns: [HelloSource.Prefix: UInt64] = [:]
  private var hostTurns: [HelloSource.Prefix: UInt64] = [:]
  private var turn: UInt64 = 0

  /// - Parameter patience: the longest time that a Hello waits.
  init(patience: Duration) { self.patience = patience }

  /// The number of waiting Hellos.
  var count: Int { items.count }
  /// The time when the first Hello expires; nil if none waits.
  var nextExpiry: Instant? { items.first?.expiry }

  /// The sources of the waiting Hellos.
  var sources: some Sequence<Address> { items.lazy.map(\.address) }

  /// Returns whether a Hello from this address waits.
  func holds(_ address: Address) -> Bool { addresses.contains(address) }

  // [DEC-60]
  /// Returns true if ``append(_:from:at:)`` may add a Hello from this address.
  func hasRoom(for address: Address) -> Bool {
    let source = HelloSource(address)
    let weight = census.weight(source)
    guard !holds(address), weight.host < Self.hostLimit else { return false }
    return items.count < Self.limit || census.largestNetwork > weight.network + 1
  }

  /// Adds a Hello. Call it only if ``hasRoom(for:)``.
  ///
  /// - Returns: true if it evicted another Hello.
  mutating func append(_ hello: [UInt8], from address: Address, at now: Instant) -> Bool {
    let evicts = items.count >= Self.limit
    if evicts { removeLatestOfLargest() }
    let source = HelloSource(address)
    // [DEC-58]
    items.append(Item(hello: hello, address: address, source: source, expiry: now.advanced(by: patience)))
    addresses.insert(address)
    census.add(1, to: source)
    turn += 1
    if networkTurns[source.network] == nil { networkTurns[source.network] = turn }
    if hostTurns[source.host] == nil { hostTurns[source.host] = turn }
    return evicts
  }

  // [DEC-59]
  /// Removes and returns the Hello whose turn it is; nil if none waits.
  mutating func next() -> Item? {
    guard let index = items.indices.min(by: { turns(items[$0]) < turns(items[$1]) }) else { return nil }
    let item = remove(at: index)
    turn += 1
    // A source with more Hellos joins the end of the line.
    if networkTurns[item.source.network] != nil { networkTurns[item.source.network] = turn }
    if hostTurns[item.source.host] != nil { hostTurns[item.source.host] = turn }
    return item
  }

  /// Removes Hellos that have waited too long.
  ///
  /// - Returns: the number of removed Hellos.
  mutating func expire(at now: Instant) -> Int {
    let expired = items.prefix { $0.expiry <= now }.count
    for _ in 0..<expired { _ = remove(at: 0) }
    return expired
  }

  private func turns(_ item: Item) -> (UInt64, UInt64) {
    (networkTurns[item.source.network] ?? 0, hostTurns[item.source.host] ?? 0)
  }

  // [DEC-60]
  private mutating func removeLatestOfLargest() {
    let latest = census.heaviest(of: items.indices.reversed()) { items[$0].source }
    if let latest { _ = remove(at: latest) }
  }

  private mutating func remove(at index: Int) -> Item {
    let item = items.remove(at: index)
    addresses.remove(item.address)
    census.add(-1, to: item.source)
    let weight = census.weight(item.source)
    if weight.network == 0 { networkTurns[item.source.network] = nil }
    if weight.host == 0 { hostTurns[item.source.host] = nil }
    return item
  }
}
