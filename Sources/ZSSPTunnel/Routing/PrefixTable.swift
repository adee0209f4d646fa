// SPDX-License-Identifier: Apache-2.0

/// Maps addresses to the value of the longest prefix that contains them.
///
/// Each family has a binary tree without nodes that do not branch, so that it has at most two nodes
/// per prefix. A look-up takes one step for each node on the path, at most the width of an address,
/// and allocates nothing.
public struct PrefixTable: Sendable {
  private var v4 = PrefixTree()
  private var v6 = PrefixTree()
  /// The number of prefixes.
  public private(set) var count = 0

  /// Makes an empty table.
  public init() {}

  /// Sets the value of a prefix. It must not be negative.
  ///
  /// - Returns: The previous value; nil if the prefix is new.
  @discardableResult
  public mutating func insert(_ prefix: IPPrefix, _ value: Int) -> Int? {
    let bits = prefix.network.address.bits
    let former =
      prefix.address.family == .v4
      ? v4.insert(bits, length: prefix.length, value: value) : v6.insert(bits, length: prefix.length, value: value)
    if former == nil { count += 1 }
    return former
  }

  /// Returns the value of the longest prefix of an address; nil if no prefix matches.
  public func value(for address: IPAddress) -> Int? {
    address.family == .v4 ? v4.value(for: address.bits) : v6.value(for: address.bits)
  }
}

/// The prefixes of one family.
private struct PrefixTree: Sendable {
  private struct Node {
    let bits: UInt128
    let length: Int
    /// -1 for a node that only branches.
    var value: Int
    /// The indices of the nodes below; -1 for none.
    var zero = -1
    var one = -1
  }

  private var nodes: [Node] = []
  private var root = -1

  private static func bit(of bits: UInt128, at position: Int) -> Bool { (bits << UInt128(position)) >> 127 == 1 }

  /// Returns the number of leading bits that a node shares with a prefix.
  private static func shared(_ left: Node, bits: UInt128, length: Int) -> Int {
    min(left.length, length, (left.bits ^ bits).leadingZeroBitCount)
  }

  func value(for bits: UInt128) -> Int? {
    var index = root
    var best = -1
    while index >= 0 {
      let node = nodes[index]
      guard (node.bits ^ bits) & IPPrefix.mask(node.length) == 0 else { break }
      if node.value >= 0 { best = node.value }
      guard node.length < 128 else { break }
      index = Self.bit(of: bits, at: node.length) ? node.one : node.zero
    }
    return best >= 0 ? best : nil
  }

  mutating func insert(_ bits: UInt128, length: Int, value: Int) -> Int? {
    var index = root
    var parent = -1
    while index >= 0 {
      let shared = Self.shared(nodes[index], bits: bits, length: length)
      if shared < nodes[index].length {
        connect(split(index, at: shared, bits: bits, length: length, value: value), below: parent, bits: bits)
        return nil
      }
      if shared == length {
        let former = nodes[index].value
        nodes[index].value = value
        return former >= 0 ? former : nil
      }
      parent = index
      index = Self.bit(of: bits, at: shared) ? nodes[index].one : nodes[index].zero
    }
    nodes.append(Node(bits: bits, length: length, value: value))
    connect(nodes.count - 1, below: parent, bits: bits)
    return nil
  }

  /// Inserts a prefix above a node that differs after `shared` bits, or that has the prefix.
  private mutating func split(_ index: Int, at shared: Int, bits: UInt128, length: Int, value: Int) -> Int {
    let isAbove = shared == length
    var upper = Node(bits: bits & IPPrefix.mask(shared), length: shared, value: isAbove ? value : -1)
    if !isAbove { nodes.append(Node(bits: bits, length: length, value: value)) }
    let other = isAbove ? -1 : nodes.count - 1
    if Self.bit(of: nodes[index].bits, at: shared) {
      upper.one = index
      upper.zero = other
    } else {
      upper.zero = index
      upper.one = other
    }
    nodes.append(upper)
    return nodes.count - 1
  }

  private mutating func connect(_ index: Int, below parent: Int, bits: UInt128) {
    guard parent >= 0 else { return root = index }
    if Self.bit(of: bits, at: nodes[parent].length) { nodes[parent].one = index } else { nodes[parent].zero = index }
  }
}
