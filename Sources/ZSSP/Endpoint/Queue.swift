// SPDX-License-Identifier: Apache-2.0

/// A first-in, first-out queue. It keeps its storage while it is in use, and reuses it from the
/// start when the queue is empty.
struct Queue<Element> {
  private var elements: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == elements.count }

  /// The element that is popped next.
  var first: Element? { isEmpty ? nil : elements[head] }

  mutating func push(_ element: Element) { elements.append(element) }

  mutating func pop() -> Element? {
    guard !isEmpty else { return nil }
    let element = elements[head].take()
    head += 1
    if isEmpty {
      elements.removeAll(keepingCapacity: elements.capacity <= 64)
      head = 0
    }
    return element
  }

  /// Pops the first element of a queue that may never become empty. When popped elements take most
  /// of the storage, it is compacted.
  @inline(never)
  mutating func popFromLong() -> Element? {
    let element = pop()
    if head > 64, head > elements.count / 2 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }
}

extension Queue: Sendable where Element: Sendable {}
