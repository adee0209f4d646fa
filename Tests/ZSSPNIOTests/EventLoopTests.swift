// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Testing
  import ZSSPTestSupport

  @testable import ZSSPNIO

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// The tasks of an event loop, without its thread.
  @Suite(.tags(.fast))
  struct EventLoopTasksTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func whatIsScheduledComesInItsOrder() {
      let ran = SharedBox<[Int]>([])
      var tasks = EventLoopTasks()
      func schedule(_ milliseconds: Int64, number: Int) -> UInt64 {
        tasks.schedule(at: start + .milliseconds(milliseconds)) { ran.update { $0.append(number) } }.id
      }
      _ = schedule(30, number: 3)
      _ = schedule(10, number: 1)
      let cancelled = schedule(20, number: 99)
      _ = schedule(20, number: 2)
      _ = tasks.append { ran.update { $0.append(0) } }
      #expect(tasks.cancel(cancelled) != nil)
      #expect(tasks.cancel(cancelled) == nil)
      for task in tasks.takeDue(at: start + .milliseconds(20)) { task() }
      #expect(ran.value == [0, 1, 2])
      for task in tasks.takeDue(at: start + .milliseconds(30)) { task() }
      #expect(ran.value == [0, 1, 2, 3])
    }

    /// The time that the thread waits, in nanoseconds.
    @Test(
      arguments: [
        (nil, -1), (0, 0), (1, 1), (1_000_001, 1_000_001), (-5_000_000, 0), (60_000_000_000, 60_000_000_000),
      ] as [(Int64?, Int64)])
    func waitsUntilTheFirst(nanoseconds: Int64?, expected: Int64) {
      var tasks = EventLoopTasks()
      if let nanoseconds { _ = tasks.schedule(at: start + .nanoseconds(nanoseconds)) {} }
      #expect(tasks.prepareToWait(at: start) == expected)
    }

    @Test func doesNotWaitForWhatIsCancelled() {
      var tasks = EventLoopTasks()
      let id = tasks.schedule(at: start + .milliseconds(5)) {}.id
      #expect(tasks.cancel(id) != nil)
      #expect(tasks.prepareToWait(at: start) == -1)
    }

    /// The thread is woken once, and only while it waits.
    @Test func wakesOnce() {
      var tasks = EventLoopTasks()
      #expect(!tasks.append {})
      _ = tasks.takeDue(at: start)
      #expect(tasks.prepareToWait(at: start) == -1)
      #expect(tasks.append {})
      #expect(!tasks.append {})
      _ = tasks.takeDue(at: start)
      _ = tasks.schedule(at: start + .milliseconds(5)) {}
      #expect(tasks.prepareToWait(at: start) == 5_000_000)
      #expect(!tasks.schedule(at: start + .milliseconds(6)) {}.needsWaking)
      #expect(tasks.schedule(at: start + .milliseconds(4)) {}.needsWaking)
    }
  }

  /// The time that an event loop polls before it sleeps.
  @Suite(.tags(.fast))
  struct BusyPollWindowTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func lastsForItsTimeAfterTheLastNews() {
      var vigil = BusyPollWindow()
      #expect(!vigil.lasts(at: start))
      vigil.begin(at: start, for: 1000)
      #expect(vigil.lasts(at: start) && vigil.lasts(at: start + .nanoseconds(999)))
      #expect(!vigil.lasts(at: start + .nanoseconds(1000)))
      vigil.begin(at: start + .nanoseconds(500), for: 1000)
      #expect(vigil.lasts(at: start + .nanoseconds(1499)))
      #expect(!vigil.lasts(at: start + .nanoseconds(1500)))
    }

    @Test func thereIsNoneWithoutATime() {
      var vigil = BusyPollWindow()
      vigil.begin(at: start, for: 0)
      #expect(!vigil.lasts(at: start))
    }
  }

  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct EpollEventLoopTests {
    private struct Failure: Error {}

    @Test func runsWhatItIsGivenInOrder() async throws {
      let eventLoop = EpollEventLoopGroup.singleton.next()
      #expect(!eventLoop.inEventLoop)
      let ran = SharedBox<[Int]>([])
      for number in 0..<1000 { eventLoop.execute { ran.update { $0.append(number) } } }
      #expect(try await eventLoop.submit { eventLoop.inEventLoop }.get())
      #expect(ran.value == Array(0..<1000))
      await #expect(throws: Failure.self) { try await eventLoop.submit { throw Failure() }.get() }
    }

    @Test func timersRunAndCanBeCancelled() async throws {
      let eventLoop = EpollEventLoopGroup.singleton.next()
      #expect(try await eventLoop.scheduleTask(in: .nanoseconds(1)) { 7 }.futureResult.get() == 7)
      let cancelled = eventLoop.scheduleTask(in: .hours(1)) { 8 }
      cancelled.cancel()
      await #expect(throws: EventLoopError.self) { try await cancelled.futureResult.get() }
    }

    /// A cancelled task may hold the last reference to an object that uses the event loop in its
    /// deinitialiser.
    @Test func lettingGoOfACancelledTaskMayScheduleOthers() async throws {
      final class Holder: Sendable {
        let eventLoop: any EventLoop
        let gone: Promise<Void>
        init(_ eventLoop: any EventLoop, gone: Promise<Void>) {
          self.eventLoop = eventLoop
          self.gone = gone
        }
        deinit { eventLoop.execute { [gone] in gone.resolve(()) } }
      }
      let eventLoop = EpollEventLoopGroup.singleton.next()
      let gone = Promise<Void>()
      do {
        let holder = Holder(eventLoop, gone: gone)
        eventLoop.scheduleTask(in: .hours(1)) { withExtendedLifetime(holder) {} }.cancel()
      }
      await gone.value()
    }

    /// A poll that hears only that it was woken must not be taken for one that heard nothing: the
    /// task would wait for ever.
    @Test func whileItPollsTasksOfOtherThreadsRunAsWell() async throws {
      let eventLoop = EpollEventLoop()
      eventLoop.busyPolling.store(1_000_000_000, ordering: .relaxed)
      var pair: [CInt] = [0, 0]
      try #require(pipe(&pair) == 0)
      let reader = pair[0]
      let writer = pair[1]
      defer { _ = (close(reader), close(writer)) }
      let heard = Promise<Void>()
      let watch = try await eventLoop.submit {
        let end = SharedBox<EpollEventLoop.Watch?>(nil)
        let watch = try eventLoop.watch(descriptor: reader) { _ in
          var byte: UInt8 = 0
          guard read(reader, &byte, 1) == 1 else { return }
          heard.resolve(())
        }
        end.update { $0 = watch }
        return end
      }.get()
      try #require(write(writer, "x", 1) == 1)
      await heard.value()
      // From now on it looks, for a second.
      for number in 0..<1000 {
        #expect(try await eventLoop.submit { number }.get() == number)
      }
      try await eventLoop.scheduleTask(in: .milliseconds(1)) {}.futureResult.get()
      eventLoop.busyPolling.store(0, ordering: .relaxed)
      try await eventLoop.submit { if let watch = watch.value { eventLoop.end(watch) } }.get()
    }

    @Test func cannotBeShutDown() async throws {
      await #expect(throws: EventLoopError.self) { try await EpollEventLoopGroup.singleton.shutdownGracefully() }
      #expect(Array(EpollEventLoopGroup.singleton.makeIterator()).count == EpollEventLoopGroup.singleton.count)
    }
  }
#endif
