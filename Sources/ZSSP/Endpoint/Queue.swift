// SPDX-License-Identifier: Apache-2.0

/// First in, first out. The storage is kept while it is used and reused from the start whenever the queue is empty.
struct Queue<Element> {
  private var elements: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == elements.count }

  /// What is popped next.
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

  /// Pops the first, in a queue that is never empty: when most of its room is that of elements which have left it, that is given
  /// back.
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
