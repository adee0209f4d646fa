// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The future events by time. Events at the same time occur in the order in which they were added.
struct Agenda<Item> {
  private struct Entry {
    let time: Instant
    let number: UInt64
    /// The index of the item. Items are large, so they stay in place while their entries move in
    /// the heap.
    let place: Int

    func isBefore(_ other: Entry) -> Bool { (time, number) < (other.time, other.number) }
  }

  private var heap: [Entry] = []
  private var items: [Item?] = []
  private var freePlaces: [Int] = []
  private var lastNumber: UInt64 = 0

  var count: Int { heap.count }

  mutating func add(_ item: Item, at time: Instant) {
    lastNumber += 1
    heap.append(Entry(time: time, number: lastNumber, place: store(item)))
    var index = heap.count - 1
    while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func store(_ item: Item) -> Int {
    guard let place = freePlaces.popLast() else {
      items.append(item)
      return items.count - 1
    }
    items[place] = item
    return place
  }

  /// Removes and returns the next item, if it is due by `limit`.
  mutating func next(by limit: Instant) -> (time: Instant, item: Item)? {
    guard let first = heap.first, first.time <= limit, let item = items[first.place].take() else { return nil }
    freePlaces.append(first.place)
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      siftDown()
    }
    return (first.time, item)
  }

  private mutating func siftDown() {
    var index = 0
    while true {
      var smallest = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].isBefore(heap[smallest]) {
        smallest = child
      }
      guard smallest != index else { return }
      heap.swapAt(index, smallest)
      index = smallest
    }
  }
}
