// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// Messages without queues in between.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct MessageHandlerTests {
  /// Keeps what it is given, and resolves when there is enough.
  private final class Collector: MessageHandler {
    private struct State {
      var messages: [[UInt8]] = []
      var bursts = 0
      var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = NIOLockedValueBox(State())
    private let wanted: Int

    init(wanted: Int) { self.wanted = wanted }

    var messages: [[UInt8]] { state.withLockedValue { $0.messages } }
    var bursts: Int { state.withLockedValue { $0.bursts } }

    func receive(_ message: RawSpan) {
      let bytes = message.withUnsafeBytes { Array($0) }
      state.withLockedValue { $0.messages.append(bytes) }
    }

    func burstEnded() {
      let waiter = state.withLockedValue { state in
        state.bursts += 1
        return state.messages.count >= wanted ? state.waiter.take() : nil
      }
      waiter?.resume()
    }

    func allReceived() async {
      await withCheckedContinuation { continuation in
        let isDone = state.withLockedValue { state in
          if state.messages.count >= wanted { return true }
          state.waiter = continuation
          return false
        }
        if isDone { continuation.resume() }
      }
    }
  }

  /// Written in place, received in place: small ones, large ones and empty ones.
  @Test(arguments: Transport.allCases) func writtenAndReceivedInPlace(transport: Transport) async throws {
    let pair = try await Pair.connected(on: transport)
    let messages = (0..<300).map { number in
      [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: [0, 1, 1000, 1400, 9000][number % 5])
    }
    let collector = Collector(wanted: messages.count)
    // What comes before the handler is there is handed to it first.
    try await pair.clientSession.send(messages[0])
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == 1 }
    try await pair.serverSession.setMessageHandler(collector)
    for start in stride(from: 1, to: messages.count, by: 10) {
      let part = messages[start..<min(start + 10, messages.count)]
      try await pair.clientSession.sendMessages(ofBytes: 30_000) { run throws(SendError) in
        for message in part { try run.append(message.span.bytes) }
      }
    }
    await collector.allReceived()
    #expect(collector.messages == messages)
    #expect(collector.bursts > 0)
    #expect(await pair.server.statistics().transport.messagesDropped == 0)
    await pair.close()
  }

  /// A handler that answers where it stands, and a sender that is told that there is no room.
  @Test func answeringFromAHandler() async throws {
    final class Echo: MessageHandler {
      let session: Session
      init(_ session: Session) { self.session = session }

      func receive(_ message: RawSpan) {
        let bytes = message.withUnsafeBytes { Array($0) }
        let hadRoom = try? session.sendMessagesIfRoom(ofBytes: bytes.count) { run throws(SendError) in
          try run.append(bytes.span.bytes)
        }
        #expect(hadRoom == true)
      }
    }
    let pair = try await Pair.connected()
    try await pair.serverSession.setMessageHandler(Echo(pair.serverSession))
    var replies = pair.clientSession.messages.makeAsyncIterator()
    for number in 0..<20 {
      try await pair.clientSession.send([UInt8(number)])
      #expect(await replies.next() == [UInt8(number)])
    }
    await pair.close()
    #expect(throws: UDPError.self) { try pair.serverSession.sendMessagesIfRoom(ofBytes: 1) { _ in } }
  }

  @Test func anEndedSessionTakesNoHandler() async throws {
    let pair = try await Pair.connected()
    await pair.serverSession.close()
    await #expect(throws: UDPError.self) { try await pair.serverSession.setMessageHandler(Collector(wanted: 1)) }
    await #expect(throws: UDPError.self) { try await pair.serverSession.sendMessages(ofBytes: 1) { _ in } }
    await pair.close()
  }

  /// A writer that gives up sends what it had written, and the rest of its messages is counted.
  @Test func aWriterThatThrows() async throws {
    let pair = try await Pair.connected()
    try await pair.clientSession.sendMessages(ofBytes: 10) { run throws(SendError) in
      let message: [UInt8] = [1]
      try run.append(message.span.bytes)
      throw .notEstablished
    }
    var received = pair.serverSession.messages.makeAsyncIterator()
    #expect(await received.next() == [1])
    #expect(await pair.client.statistics().transport.messagesUnsent == 1)
    #expect(pair.clientSession.endReason == nil)
    await pair.close()
  }
}
