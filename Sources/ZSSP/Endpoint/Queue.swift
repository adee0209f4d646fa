// SPDX-License-Identifier: Apache-2.0

/// First in, first out. The storage is kept while it is used and reused from the start whenever the queue is empty.
struct Queue<Element> {
  private var elements: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == elements.count }

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
}
