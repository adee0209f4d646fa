// SPDX-License-Identifier: Apache-2.0
import CAllocationCounter
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPBenchmark

/// The protocol's own allocations. The provider allocates nothing for a packet.
@Suite(
  "Allocations", .tags(.fast), .enabled(if: allocation_counter_works(), "allocations cannot be counted in this build"))
struct AllocationTests {
  /// Counts what `body` allocates on this thread.
  private func allocations(_ body: () throws -> Void) rethrows -> UInt64 {
    let before = allocation_counter_value()
    try body()
    return allocation_counter_value() - before
  }

  @Test func theCounterCounts() {
    var arrays: [[Int]] = []
    arrays.reserveCapacity(10)
    #expect(allocations { for number in 0..<10 { arrays.append([number]) } } >= 10)
  }

  @Test("a packet in the steady state costs no allocation", arguments: [0, 64, 1400])
  func packets(size: Int) throws {
    var link = try EndpointLink(PlainPackets())
    try link.handshake()
    let session = link.sessions[0]
    let message = [UInt8](repeating: 1, count: size)
    func exchange(_ link: inout EndpointLink) throws -> Int {
      try link.alice.send(on: session, at: link.now) { run throws(SendError) in
        for _ in 0..<64 { try run.append(message.span.bytes) }
      }
      return link.aliceToBob()
    }
    // The first rounds grow the buffers, which are used again.
    for _ in 0..<3 { #expect(try exchange(&link) == 64) }
    var received = 0
    let count = try allocations { for _ in 0..<100 { received += try exchange(&link) } }
    #expect(received == 6400)
    #expect(count == 0)
  }

  @Test("messages one by one cost no allocation either")
  func single() throws {
    var link = try EndpointLink(PlainPackets())
    try link.handshake()
    let session = link.sessions[0]
    let message = [UInt8](repeating: 1, count: 500)
    func exchange(_ link: inout EndpointLink) throws -> Int {
      try link.alice.send(message.span.bytes, on: session, at: link.now)
      return link.aliceToBob()
    }
    for _ in 0..<3 { #expect(try exchange(&link) == 1) }
    var received = 0
    let count = try allocations { for _ in 0..<100 { received += try exchange(&link) } }
    #expect(received == 100)
    #expect(count == 0)
  }

  @Test("neither does fetching sessions before they are sent on")
  func prefetch() throws {
    var link = try EndpointLink(PlainPackets())
    try link.handshake()
    let sessions = [SessionID](repeating: link.sessions[0], count: Endpoint.prefetchLimit)
    link.alice.prefetch(sessions.span)
    #expect(allocations { for _ in 0..<100 { link.alice.prefetch(sessions.span) } } == 0)
  }

  @Test("a message of several fragments costs none to send, and to receive what it lies in", arguments: [3000, 60_000])
  func fragments(size: Int) throws {
    var link = try EndpointLink(PlainPackets())
    try link.handshake()
    let session = link.sessions[0]
    let message = [UInt8](repeating: 1, count: size)
    func send(_ link: inout EndpointLink) throws {
      try link.alice.send(on: session, at: link.now) { run throws(SendError) in
        for _ in 0..<4 { try run.append(message.span.bytes) }
      }
    }
    for _ in 0..<3 {
      try send(&link)
      #expect(link.aliceToBob() == 4)
    }
    var sending: UInt64 = 0
    var receiving: UInt64 = 0
    for _ in 0..<50 {
      sending += try allocations { try send(&link) }
      receiving += allocations { _ = link.aliceToBob() }
    }
    #expect(sending == 0)
    #if !DEBUG
      // The message itself, and the list of incomplete packets, which is not kept while there are
      // none. Without optimisation there are some for each fragment.
      #expect(receiving <= 2 * 4 * 50)
    #endif
    #expect(receiving > 0)
  }

  /// Mostly the values of the handshake itself: keys, ciphertexts, packets.
  @Test("a handshake allocates within a bound")
  func handshake() throws {
    var link = try EndpointLink(PlainPackets())
    for _ in 0..<3 { try link.handshake() }
    let count = try allocations { try link.handshake() }
    #expect(count > 0)
    // There are 3,202. Of them 500 are for the order of events, the queue of Hellos and their
    // budget, 120 for the actions that machines return, and 22 for the steps of computations.
    #expect(count <= 3220)
  }
}
