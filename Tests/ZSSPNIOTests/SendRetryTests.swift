// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// The times at which a refused datagram is offered to the system again.
  @Suite(.tags(.fast))
  struct SendRetryTests {
    @Test func aFullSocketIsWaitedForAsLongAsItTakes() {
      var retry = SendRetry()
      for _ in 0..<1000 { #expect(retry.refused(isFull: true, wasWritable: false) == .whenWritable) }
    }

    /// The pauses double up to the longest where epoll is no help, and then the datagram is
    /// dropped.
    @Test(arguments: [false, true]) func aWritableSocketThatRefusesIsLeftAlone(isFull: Bool) {
      var retry = SendRetry()
      var pauses: [Duration] = []
      while case .after(let pause) = retry.refused(isFull: isFull, wasWritable: true) { pauses.append(pause) }
      #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 64].map { .milliseconds($0) })
      // Each of the next pieces gets the longest pause once.
      for _ in 0..<10 {
        #expect(retry.refused(isFull: isFull, wasWritable: true) == .after(SendRetry.longest))
        #expect(retry.refused(isFull: isFull, wasWritable: true) == .drop)
      }
      retry.progressed()
      #expect(retry.refused(isFull: isFull, wasWritable: true) == .after(SendRetry.first))
    }
  }

  /// The consequences of each answer of the system to a datagram.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct RefusalTests {
    /// An error number that every piece is refused with, or those that are to be segmented.
    struct Row: Sendable, CustomTestStringConvertible {
      enum Outcome: Sendable {
        /// The datagram is dropped at once, and is not offered again.
        case dropped
        /// The datagram is kept, and offered again after pauses.
        case offeredAgain
        /// Its segments are offered one by one.
        case cut
      }
      let error: CInt
      var isSegmented = false
      let outcome: Outcome

      var testDescription: String { "\(error)\(isSegmented ? " for a super-datagram" : ""): \(outcome)" }
    }

    static let rows =
      [EAGAIN, ENOBUFS, ENOMEM].map { Row(error: $0, outcome: .offeredAgain) }
      + [
        EPERM, EACCES, ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL, EINVAL, EMSGSIZE, EIO,
        ECONNREFUSED, EPIPE, EAFNOSUPPORT, EDESTADDRREQ, EOPNOTSUPP,
      ].map { Row(error: $0, outcome: .dropped) }
      + [EINVAL, EMSGSIZE, EIO, EOPNOTSUPP, ENOPROTOOPT].map { Row(error: $0, isSegmented: true, outcome: .cut) }
      + [EPERM, ENETUNREACH].map { Row(error: $0, isSegmented: true, outcome: .dropped) }

    /// Returns the number of refusals of a datagram that is offered again, which is less than the
    /// number after which it is dropped. A full socket is tried when it is writable, and again
    /// after a pause.
    private static func times(_ error: CInt) -> Int { error == EAGAIN ? 12 : 6 }

    /// The size of a message in bytes. Control packets are smaller: what is still repeated of a
    /// handshake passes.
    private static let messageSize = 1000
    private static func isMessage(_ size: Int) -> Bool { size > messageSize }

    @Test(arguments: rows) func whatIsRefused(row: Row) async throws {
      let calls = SharedBox<[(isSegmented: Bool, time: NIODeadline)]>([])
      let refusals = SharedBox(0)
      var options = UDPOptions()
      options.refusePiece = { size, isSegmented in
        refusals.update { left in
          guard left != 0, Self.isMessage(size) else { return 0 }
          calls.update { $0.append((isSegmented, .now())) }
          guard isSegmented == row.isSegmented else { return 0 }
          left -= 1
          return row.error
        }
      }
      let server = try await makeEndpoint(on: .system)
      let client = try await makeEndpoint(options: options, on: .system)
      let canSegment = await client.statistics().transport.isUsingSegmentationOffload
      guard !row.isSegmented || canSegment else {
        await client.close()
        await server.close()
        return isNotTested("segmentation offload: the kernel has none")
      }
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let other = try await accepted
      var received = other.messages.makeAsyncIterator()
      let before = await client.statistics().transport
      let messages = (0..<(row.isSegmented ? 3 : 1)).map { [UInt8](repeating: UInt8($0), count: Self.messageSize) }

      refusals.value = row.outcome == .offeredAgain ? Self.times(row.error) : 1
      try await session.send(contentsOf: messages)
      // One that is dropped too early is not offered again, and shows below.
      while refusals.value > 0, await client.statistics().transport.sendErrors == before.sendErrors {
        try await Task.sleep(for: .milliseconds(1))
      }
      // What comes later arrives in any case: nothing waits for what was refused.
      try await session.send([9])
      for message in row.outcome == .dropped ? [] : messages { #expect(await received.next() == message) }
      #expect(await received.next() == [9])

      let after = await client.statistics().transport
      #expect(after.unsentDatagrams == 0 && after.socketsReplaced == 0)
      #expect(after.sendErrors - before.sendErrors == (row.outcome == .offeredAgain ? 0 : 1))
      if row.outcome == .offeredAgain {
        // A loop that spins offers it again within microseconds. One that does not may be late, and
        // is never early.
        let times = calls.value.map(\.time)
        #expect(times[Self.times(row.error) - 1] - times[0] >= .milliseconds(1 + 2 + 4 + 8 + 16))
      }
      await client.close()
      await server.close()
    }

    /// One peer's datagram that is never taken does not hold up others for longer than a fifth of a
    /// second or so.
    @Test(arguments: [EAGAIN, ENOBUFS]) func whatIsNeverTakenIsDropped(error: CInt) async throws {
      let refused = SharedBox(0)
      let isArmed = SharedBox(false)
      var options = UDPOptions()
      // The first piece is refused until it is dropped, which shows in that another is offered.
      options.refusePiece = { size, _ in
        guard isArmed.value, Self.isMessage(size) else { return 0 }
        return refused.update { count in
          count += 1
          return count <= (error == EAGAIN ? 2 : 1) * (SendRetry.limit + 1) ? error : 0
        }
      }
      let server = try await makeEndpoint(on: .system)
      let client = try await makeEndpoint(options: options, on: .system)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let other = try await accepted
      var received = other.messages.makeAsyncIterator()
      isArmed.value = true
      let messages = [1, 2].map { [UInt8](repeating: $0, count: Self.messageSize) }
      try await session.send(messages[0])
      while refused.value == 0 { try await Task.sleep(for: .milliseconds(1)) }
      try await session.send(messages[1])
      try await wait(for: client) { $0.transport.sendErrors > 0 }
      #expect(await received.next() == messages[1])
      #expect(await client.statistics().transport.sendErrors == 1)
      await client.close()
      await server.close()
    }
  }
#endif
