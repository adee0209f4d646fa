// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct PacketTests {
  // MARK: Joined datagrams

  /// Datagrams of one key id, with bytes that are not that id.
  private func joined(_ sizes: [Int]) -> [UInt8] {
    sizes.flatMap { [0xAA, 0xBB, 0xCC, 0xDD] + [UInt8](repeating: 0x11, count: $0 - 4) }
  }

  @Test(
    "joined datagrams are told apart by their key id",
    arguments: [
      ([1400], 1400), ([1400, 1400], 1400), ([1400, 1400, 32], 1400), ([32, 32, 32], 32), ([843, 842], 843),
      ([64, 100], 164), ([100, 31], 131), ([31], 31), ([32], 32),
    ])
  func segments(sizes: [Int], size: Int) {
    #expect(segmentSize(joined(sizes)) == size)
  }

  @Test("the fragments of a Hello are told apart by their size")
  func helloSegments() {
    let hello = Packets.hello(keyID: 5)
    #expect(hello.map(\.count) == [891, 890])
    let both = hello[0] + hello[1]
    #expect(segmentSize(both) == 891)
    let reversed = hello[1] + hello[0]
    #expect(segmentSize(reversed) == reversed.count)
    #expect(segmentSize(hello[0]) == 891)
  }

  @Test("a datagram with the key id of another at its end is one datagram")
  func coincidence() {
    let bytes = joined([100]) + [0xAA, 0xBB, 0xCC, 0xDD]
    #expect(segmentSize(bytes) == bytes.count)
  }

  @Test("datagrams that were joined are shown one by one")
  func joinedLines() throws {
    var script = Script()
    script.send(joined([100, 100, 40]))
    let found = try script.decode()
    #expect(found.recorder.events.map(\.size) == [100, 100, 40])
    #expect(found.recorder.events.map(\.segment) == [0, 1, 2])
    #expect(found.counts.datagrams == 3)
    #expect(try script.text().contains("100 bytes, joined 2/3"))
  }

  // MARK: Fragments

  private func key(_ counter: UInt64) -> FragmentStore.Key {
    FragmentStore.Key(
      source: Packets.client, destination: Packets.server, keyID: 1, type: 8, reserved: 0, counter: counter)
  }

  @Test("fragments are joined in any order; copies and contradictions change nothing")
  func store() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
      var store = FragmentStore()
      for (step, number) in order.enumerated() {
        let payload = [UInt8](repeating: UInt8(number), count: 4)
        let result = store.insert(key(1), number: number, count: 3, payload: payload.rawBytes, frame: 1, at: 0)
        switch result {
        case .complete(let bytes): #expect(step == 2 && bytes == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
        case .waiting: #expect(step < 2)
        case .duplicate, .contradiction: Issue.record("\(result)")
        }
        guard step < 2 else { continue }
        guard
          case .duplicate = store.insert(key(1), number: number, count: 3, payload: payload.rawBytes, frame: 1, at: 0)
        else {
          Issue.record("a copy is not seen")
          continue
        }
        guard
          case .contradiction = store.insert(key(1), number: 0, count: 4, payload: payload.rawBytes, frame: 1, at: 0)
        else {
          Issue.record("another count is not seen")
          continue
        }
      }
      #expect(store.count == 0)
      #expect(store.byteCount == 0)
    }
  }

  @Test("incomplete packets are bounded, and tell what is missing")
  func storeBounds() {
    let limits = FragmentStore.Limits(packets: 4, bytes: 100, timeout: 10)
    var store = FragmentStore(limits)
    let payload = [UInt8](repeating: 1, count: 30)
    for counter in 0..<1000 as Range<UInt64> {
      if store.isFull { #expect(store.removeOldest()?.key.counter == counter - UInt64(store.count) - 1) }
      // Completed ones in between do not stay in the order.
      _ = store.insert(key(counter), number: 1, count: 3, payload: payload.rawBytes, frame: counter, at: Int64(counter))
      _ = store.insert(key(counter + 10_000), number: 0, count: 2, payload: [1].rawBytes, frame: 0, at: 0)
      _ = store.insert(key(counter + 10_000), number: 1, count: 2, payload: [1].rawBytes, frame: 0, at: 0)
      #expect(store.count <= 4)
      #expect(store.byteCount <= 130)
      #expect(store.orderCount <= 4 * 4 + 64)
    }
    let oldest = store.removeOldest()
    #expect(oldest?.missing == [0, 2])
    #expect(oldest?.count == 3)
    #expect(store.expire(at: 1000) == nil || store.count >= 0)
    while store.expire(at: 2000) != nil {}
    #expect(store.count == 0)
  }

  @Test("the bytes of incomplete packets are bounded")
  func storeBytes() {
    var store = FragmentStore(FragmentStore.Limits(packets: 1000, bytes: 1000, timeout: 10))
    let payload = [UInt8](repeating: 1, count: 400)
    var removed = 0
    for counter in 0..<100 as Range<UInt64> {
      if store.isFull, store.removeOldest() != nil { removed += 1 }
      _ = store.insert(key(counter), number: 0, count: 2, payload: payload.rawBytes, frame: 0, at: 0)
      #expect(store.byteCount <= 1400)
    }
    #expect(store.count == 3 && removed == 97)
  }

  @Test("Hellos that wait for an answer are bounded, and their answer goes to their sender")
  func pendingHellos() {
    var pending = PendingHellos()
    let count = UInt32(PendingHellos.capacity)
    let source = Packets.client
    for value in 1...count + 1 { pending.add(KeyID(Packets.big(value).rawBytes), from: source, to: Packets.server) }
    func isAnswer(_ value: UInt32, to destination: Address) -> Bool {
      pending.isAnswer(KeyID(Packets.big(value).rawBytes), to: destination)
    }
    let first = isAnswer(1, to: source)
    let others = (2...count + 1).allSatisfy { isAnswer($0, to: source) }
    #expect(!first && others)
    let elsewhere = isAnswer(2, to: source.withPort(1))
    #expect(!elsewhere)
    let asked = [Packets.client, Packets.server].map { pending.asked(KeyID(Packets.big(UInt32(2)).rawBytes), by: $0) }
    #expect(asked == [Packets.server, nil])
  }

  @Test("a time that is far off does not keep later packets from being joined")
  func farTimes() throws {
    var script = Script()
    script.send([0xAA, 0xBB, 0xCC, 0xDD] + [UInt8](repeating: 1, count: 60), after: 1_000_000_000)
    script.send([0xAA, 0xBB, 0xCC, 0xDD] + [UInt8](repeating: 2, count: 60), after: -1_000_000_000)
    for part in Packets.hello(keyID: 77) { script.send(part) }
    let found = try script.decode()
    #expect(found.troubles.isEmpty)
    let content = found.recorder.events.last?.content
    #expect(content == .hello(keyID: KeyID(Packets.big(UInt32(77)).rawBytes), answersChallenge: false))
  }

  @Test("a received counter is new once, as far back as the window goes")
  func counters() {
    var received = ReceivedCounters()
    for counter in [0, 5, 3, 4095, 10_000, 9_000] as [UInt64] {
      let first = received.insert(counter)
      let second = received.insert(counter)
      #expect(first)
      #expect(!second)
    }
    let far = received.insert(.max)
    let again = received.insert(.max)
    #expect(far && !again)
    // Too old to tell
    let old = received.insert(5)
    #expect(old)
  }

  // MARK: Flows and times

  @Test("flows are bounded, and the least used is evicted")
  func flows() {
    var table = FlowTable(capacity: 8)
    for port in 1...100 as ClosedRange<UInt16> {
      let source = Address(ipv4: 1, port: port)
      #expect(table.find(source, to: Packets.server) == nil)
      let place = table.add(source, to: Packets.server).place
      #expect(table.find(source, to: Packets.server) == place)
      #expect(table.find(Packets.server, to: source) == place)
      #expect(table.flows.count <= 8)
      // From the fifth round on this flow is found in each, so it is never the one that is evicted.
      #expect(port < 5 || table.find(Address(ipv4: 1, port: 5), to: Packets.server) != nil)
    }
    #expect(table.evicted == 92)
  }

  @Test(
    "times are dates of the calendar",
    arguments: [
      (0 as Int64, "1970-01-01 00:00:00.000000"), (951_782_400_000_001_999, "2000-02-29 00:00:00.000001"),
      (1_709_251_199_999_999_999, "2024-02-29 23:59:59.999999"), (-1, "1969-12-31 23:59:59.999999"),
      (.max, "2262-04-11 23:47:16.854775"), (.min, "1677-09-21 00:12:43.145224"),
    ])
  func times(time: Int64, text: String) throws {
    let sink = MemorySink()
    let output = TextOutput(sink, verbose: true)
    let event = DatagramEvent(frame: 1, time: time, source: Packets.client, destination: Packets.server, size: 4)
    try output.receive(
      event, addresses: Flow(first: Packets.client, second: Packets.server).forwardText, message: RawSpan())
    try output.flush()
    #expect(sink.text.hasPrefix(text + " "))
  }

  // MARK: Classification

  @Test("datagrams of another port are those of ZSSP if a Hello or a challenge is among the first")
  func guesses() throws {
    let server = Address(ipv4: 0xC633_6407, port: 9)
    var script = Script()
    script.send([0xAA, 0xBB, 0xCC, 0xDD] + [UInt8](repeating: 1, count: 60), to: server)
    for part in Packets.hello(keyID: 77) { script.send(part, to: server) }
    script.send([0, 0, 0, 77] + [UInt8](repeating: 1, count: 60), from: server, to: Packets.client)
    let found = try script.decode()
    #expect(found.counts.otherDatagrams == 1)
    #expect(found.counts.datagrams == 3)
    var options = DecoderOptions()
    options.guesses = false
    #expect(try script.decode(options).counts.datagrams == 0)
    options.ports = [9]
    #expect(try script.decode(options).counts.datagrams == 4)
  }

  @Test("noise with key id 0 is not taken for ZSSP on another port")
  func noise() throws {
    var script = Script()
    let server = Address(ipv4: 1, port: 9)
    script.send([0, 0, 0, 0, 0, 2, 0, 0] + [UInt8](repeating: 1, count: 60), to: server)
    script.send([0, 0, 0, 0, 0, 1, 0, 9] + [UInt8](repeating: 1, count: 60), to: server)
    script.send([UInt8](repeating: 0, count: 900), to: server)
    #expect(try script.decode().counts.datagrams == 0)
  }

  @Test("any datagram on the port gives a line")
  func anything() throws {
    var script = Script()
    for size in 0..<64 { script.send([UInt8](repeating: 0, count: size)) }
    for size in 0..<64 { script.send([UInt8](repeating: 0xEE, count: size)) }
    let found = try script.decode()
    #expect(found.counts.datagrams == 128)
    #expect(found.recorder.events.prefix(32).allSatisfy { $0.kind == .tooShort })
  }
}
