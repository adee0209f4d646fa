// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Dispatch
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// The datagrams and messages that wait while the system accepts none.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct SocketRuleTests {
    /// A client whose driver can be reached, connected to a server.
    private struct Link {
      let handle: EndpointHandle
      let session: Session
      let server: UDPEndpoint
      let serverSession: Session

      var shard: ShardHandle { handle.shards[0] }

      func run<Value: Sendable>(_ body: @escaping @Sendable (Driver) -> Value) async throws -> Value {
        try #require(await shard.ask(body))
      }

      func close() async throws {
        handle.close()
        try await handle.closed.get()
        await server.close()
      }
    }

    private func link(
      segments: Bool = true, _ refuse: @escaping @Sendable (_ isSegmented: Bool) -> CInt
    ) async throws -> Link {
      var options = UDPOptions()
      options.refusePiece = { _, isSegmented in refuse(isSegmented) }
      options.segmentationOffload = segments
      let server = try await makeEndpoint(on: .system)
      let handle = try await EndpointHandle.bind(
        to: try SocketAddress(hostAndPort: "127.0.0.1:0"), configuration: makeConfiguration(),
        store: VolatileRatchetStore(), options: options, group: EpollEventLoopGroup.singleton)
      let request = ConnectRequest(
        address: try #require(Address(server.localAddress)), key: server.publicKey, identity: [], flags: nil,
        timeout: nil)
      let outcome = SessionOutcome()
      async let accepted = acceptFirst(server)
      let session = try await handle.session(outcome, on: handle.shards[0], as: .initiator) { driver in
        driver.connect(request, for: outcome)
      }
      return Link(handle: handle, session: session, server: server, serverSession: try await accepted)
    }

    /// Waits until the driver has given the socket something that the system does not take.
    private func waitForBacklog(_ link: Link) async throws {
      while try await link.run({ driver in driver.socket.port?.hasUnsent }) != true {
        try await Task.sleep(for: .milliseconds(1))
      }
    }

    @Test func nothingOvertakesWhatTheSystemDidNotTake() async throws {
      let isFull = SharedBox(false)
      let link = try await link { _ in isFull.value ? EAGAIN : 0 }
      let id = link.session.id
      try await link.run { driver in
        for number in 1...3 as ClosedRange<UInt8> {
          // It takes more from the second on, and has not said so yet.
          isFull.value = number == 1
          try? driver.endpoint.send([number].rawBytes, on: id, at: driver.now)
          driver.writeOutbox()
        }
      }
      var messages = link.serverSession.messages.makeAsyncIterator()
      for number in 1...3 as ClosedRange<UInt8> { #expect(await messages.next() == [number]) }
      try await link.close()
    }

    /// The backlog is bounded, whatever the protocol sends while the system accepts nothing.
    @Test func whatTheSystemDoesNotTakeIsBounded() async throws {
      let isFull = SharedBox(false)
      let link = try await link { _ in isFull.value ? EAGAIN : 0 }
      let id = link.session.id
      isFull.value = true
      let message = [UInt8](repeating: 1, count: 1300)
      let unsent = try await link.run { driver in
        for _ in 0..<40 {
          try? driver.endpoint.send(on: id, at: driver.now) { run throws(SendError) in
            for _ in 0..<100 { try run.append(message.rawBytes) }
          }
          driver.writeOutbox()
        }
        return driver.counters.unsentDatagrams
      }
      // 4,000 datagrams of 1,332 bytes, of which 4 MiB are kept.
      #expect(unsent > 500 && unsent < 1500)
      isFull.value = false
      try await link.close()
    }

    /// The messages of tasks leave when the socket accepts more, without another call.
    @Test func theQueueGoesOnWhenTheSocketDoes() async throws {
      let isFull = SharedBox(false)
      let link = try await link { _ in isFull.value ? EAGAIN : 0 }
      isFull.value = true
      try await link.session.send([1])
      try await waitForBacklog(link)
      try await link.session.send([2])
      #expect(try await link.run { driver in driver.sendQueue.isEmpty } == false)
      isFull.value = false
      while try await link.run({ driver in driver.socket.port?.hasUnsent }) == true {
        try await Task.sleep(for: .milliseconds(1))
      }
      #expect(try await link.run { driver in driver.sendQueue.isEmpty })
      try await link.close()
    }

    /// A datagram that is refused for its own sake takes no other with it.
    @Test func ofSeveralPiecesOnlyTheRefusedIsDropped() async throws {
      let isArmed = SharedBox(false)
      let refused = SharedBox(false)
      let link = try await link(segments: false) { _ in
        guard isArmed.value, !refused.value else { return 0 }
        refused.value = true
        return EPERM
      }
      let id = link.session.id
      let counters = try await link.run { driver in
        let before = driver.counters
        isArmed.value = true
        try? driver.endpoint.send(on: id, at: driver.now) { run throws(SendError) in
          for number in 1...5 as ClosedRange<UInt8> { try run.append([number].rawBytes) }
        }
        driver.writeOutbox()
        return (driver.counters.writes - before.writes, driver.counters.sendErrors - before.sendErrors)
      }
      #expect(counters == (4, 1))
      var messages = link.serverSession.messages.makeAsyncIterator()
      for number in 2...5 as ClosedRange<UInt8> { #expect(await messages.next() == [number]) }
      try await link.close()
    }

    /// A super-datagram that the kernel does not segment leaves in single datagrams.
    @Test(arguments: [EIO, EMSGSIZE]) func refusedSegmentsGoOneByOne(error: CInt) async throws {
      let isArmed = SharedBox(false)
      let link = try await link { isSegmented in isArmed.value && isSegmented ? error : 0 }
      guard try await link.run({ driver in driver.counters.isUsingSegmentationOffload }) else {
        try await link.close()
        return isNotTested("segmentation: the kernel has none")
      }
      let id = link.session.id
      isArmed.value = true
      let writes = try await link.run { driver in
        let before = driver.counters.writes
        try? driver.endpoint.send(on: id, at: driver.now) { run throws(SendError) in
          for number in 1...5 as ClosedRange<UInt8> { try run.append([number].rawBytes) }
        }
        driver.writeOutbox()
        return driver.counters.writes - before
      }
      #expect(writes == 5)
      try await link.close()
    }

    /// ``Session/close()`` lets go out what was queued before.
    @Test func aSessionEndsAfterWhatWasQueued() async throws {
      let isFull = SharedBox(false)
      let link = try await link { _ in isFull.value ? EAGAIN : 0 }
      let id = link.session.id
      isFull.value = true
      try await link.session.send([1])
      try await waitForBacklog(link)
      try await link.session.send([2])
      let isThere = try await link.run { driver in
        _ = driver.closeWhenSent(id)
        return driver.endpoint.session(id) != nil
      }
      #expect(isThere)
      isFull.value = false
      while link.session.endReason == nil { try await Task.sleep(for: .milliseconds(1)) }
      #expect(try await link.run { driver in driver.counters.messagesUnsent } == 0)
      try await link.close()
    }

    /// ``UDPEndpoint/close()`` lets go out what the socket has been given.
    @Test func anEndpointEndsAfterWhatTheSocketKeeps() async throws {
      let isFull = SharedBox(false)
      let link = try await link { _ in isFull.value ? EAGAIN : 0 }
      isFull.value = true
      try await link.session.send([1])
      try await waitForBacklog(link)
      link.handle.close()
      #expect(try await link.run { driver in driver.isClosed } == false)
      isFull.value = false
      try await link.close()
    }

    // MARK: Hellos

    @Test func hellosGetAPartOfTheTime() {
      var share = HelloShare()
      let start = Instant(nanoseconds: 1_000_000_000)
      func spend(_ from: Int64, to: Int64) -> Instant? {
        share.spend(from: start.advanced(by: .microseconds(from)), to: start.advanced(by: .microseconds(to)))
      }
      let end = start.advanced(by: HelloShare.window)
      #expect(spend(0, to: 400) == nil)
      #expect(spend(500, to: 900) == nil)
      // A millisecond of two is over.
      #expect(spend(1000, to: 1200) == end)
      #expect(spend(2000, to: 2400) == nil)
      #expect(spend(2400, to: 3400) == end.advanced(by: HelloShare.window))
    }

    /// All other work has its turn after a few Hellos.
    @Test func fewHellosAreReadAtOnce() async throws {
      guard try SystemSockets.bind(to: Address(ipv4: 0x7F00_0001, port: 0), shards: 1).isSteered else {
        return isNotTested("Hellos have no socket of their own: the kernel does not steer")
      }
      let handle = try await EndpointHandle.bind(
        to: try SocketAddress(hostAndPort: "127.0.0.1:0"), configuration: makeConfiguration(),
        store: VolatileRatchetStore(), options: UDPOptions(), group: EpollEventLoop())
      let shard = handle.shards[0]
      let blocked = Promise<Void>()
      let goOn = DispatchSemaphore(value: 0)
      let reads = Promise<UInt64>()
      shard.tell { driver in
        blocked.resolve(())
        goOn.wait()
        // In the next turn of the loop sockets come first, and then this.
        let before = driver.counters.reads
        shard.tell { _ in
          shard.tell { driver in reads.resolve(driver.counters.reads - before) }
        }
      }
      await blocked.value()
      let (socket, _) = try SystemSocket.bind(to: Address(ipv4: 0x7F00_0001, port: 0), joining: false)
      let target = try #require(Address(handle.localAddress))
      let hello = [UInt8](repeating: 0, count: 60)
      try hello.withUnsafeBytes { bytes in
        for _ in 0..<200 {
          var piece = czssp_outgoing(bytes, segmentSize: bytes.count, to: target)
          var sent = 0 as CInt
          try #require(czssp_udp_send(socket.descriptor, &piece, 1, &sent) == 0)
        }
      }
      goOn.signal()
      let count = await reads.value()
      // Two turns of the loop at most.
      #expect(count > 0 && count <= 16)
      handle.close()
      try await handle.closed.get()
    }
  }
#endif
