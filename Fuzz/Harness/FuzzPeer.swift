// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// A datagram on its way.
struct Datagram {
  let from: Address
  let to: Address
  var bytes: [UInt8]
}

/// An endpoint with everything that drives it, where the fuzzer decides which request is answered,
/// when, and how.
final class FuzzPeer {
  let address: Address
  var endpoint: Endpoint
  var store = MemoryRatchetStore()
  /// The requests of the endpoint without an answer, oldest first; the oldest are lost when there
  /// are many.
  private var open: [Request] = []
  private var counted: UInt64 = 0

  init(_ configuration: EndpointConfiguration, at address: Address) {
    self.address = address
    guard let endpoint = try? Endpoint(configuration) else { fatalError("the harness's settings are wrong") }
    self.endpoint = endpoint
  }

  /// The fault that an answer is to have, if any.
  enum Answer: Int, CaseIterable {
    case right, failed, notSwapped, unknown, refused, twice, rejected, lost
  }

  private func takeRequests() {
    while let request = endpoint.nextRequest() { open.append(request) }
    if open.count > 64 { open.removeFirst(open.count - 64) }
  }

  /// Answers one of the open requests.
  func answer(_ index: Int, _ how: Answer, at now: Instant) {
    takeRequests()
    guard !open.isEmpty else { return }
    let request = open.remove(at: index % open.count)
    for _ in 0..<(how == .twice ? 2 : 1) { answer(request, how, at: now) }
    checkBounds()
  }

  /// Answers everything, rightly, until nothing is asked.
  func answerAll(at now: Instant) {
    takeRequests()
    while !open.isEmpty {
      answer(open.removeFirst(), .right, at: now)
      takeRequests()
    }
    while endpoint.nextEvent() != nil {}
  }

  private func answer(_ request: Request, _ how: Answer, at now: Instant) {
    switch (request, how) {
    case (_, .lost): break
    case (.store(let id, _), .failed): endpoint.answer(id, store: .failed, at: now)
    case (.store(let id, _), .notSwapped): endpoint.answer(id, store: .notSwapped, at: now)
    case (.store(let id, _), .unknown): endpoint.answer(id, store: .unknown, at: now)
    case (.store(let id, let question), _): endpoint.answer(id, store: store.answer(question), at: now)
    case (.accept(let id, _), .rejected): endpoint.answer(id, accept: .reject(silently: false), at: now)
    case (.accept(let id, _), .failed): endpoint.answer(id, accept: .reject(silently: true), at: now)
    case (.accept(let id, _), _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
    case (.work(let work), .refused): endpoint.refuse(work.id)
    case (.work(let work), .failed): endpoint.complete(PublicKeyResult(id: work.id, outcome: .failed), at: now)
    case (.work(let work), _): endpoint.complete(work.run(), at: now)
    }
  }

  /// Hands a datagram to the endpoint and checks the promises of the door: a datagram is counted
  /// once, one that is dropped changes nothing that only authenticated packets may change (section
  /// 11), and nothing outgrows its bounds.
  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) {
    let before = Snapshot(self)
    let statistics = endpoint.statistics
    var bytes = datagram
    let reception = bytes.withMutableBytes { endpoint.receive(&$0, from: source, at: now) }
    counted += 1
    let later = endpoint.statistics
    expect(later.datagramsReceived == counted, "every datagram is counted once")
    expect(later.bytesReceived == statistics.bytesReceived + UInt64(datagram.count), "every byte is counted once")
    let isMessage =
      switch reception {
      case .message, .assembled: true
      case .handled, .dropped: false
      }
    expect(later.messagesReceived - statistics.messagesReceived == (isMessage ? 1 : 0), "every message is counted once")
    if case .message(_, let range) = reception {
      expect(range.lowerBound >= 0 && range.upperBound <= datagram.count, "a plaintext lies in its datagram")
    }
    if case .dropped(let reason) = reception {
      expect(later[reason] == statistics[reason] + 1, "a drop is counted by its reason: \(reason)")
      expect(later.dropped == statistics.dropped + 1, "a drop is counted once: \(reason)")
      expect(reason == .challenged || later.datagramsSent == statistics.datagramsSent, "no answer to what is dropped")
      before.expectUnchanged(self, reason)
    } else {
      // What a good packet pushes out is counted for itself.
      let pushedOut = later[.evicted] - statistics[.evicted] + later[.busy] - statistics[.busy]
      expect(later.dropped - statistics.dropped == pushedOut, "nothing else is dropped")
    }
    checkBounds()
  }

  /// Lets the endpoint do what is due, and checks that nothing is due any more.
  func advance(to now: Instant) {
    endpoint.advance(to: now)
    if let next = endpoint.nextDeadline { expect(next > now, "nothing is due after advance(to:)") }
    checkBounds()
  }

  /// Takes what goes out.
  func takeOutbox() -> [Datagram] {
    var datagrams: [Datagram] = []
    for run in endpoint.outbox.runs {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        let end = min(start + run.segmentSize, run.range.upperBound)
        datagrams.append(
          Datagram(from: address, to: run.address, bytes: endpoint.outbox.bytes.extracting(start..<end).array))
        start = end
      }
    }
    endpoint.outbox.removeAll()
    return datagrams
  }
}
