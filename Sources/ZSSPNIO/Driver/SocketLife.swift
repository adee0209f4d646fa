// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The sockets under an endpoint, one after another, and the time when the next is bound.
///
/// NIO closes a UDP channel when the system fails to send, for reasons that pass or concern one
/// destination only: no route, a firewall, a device that is down, a super-datagram that cannot be
/// segmented. Sessions must survive that, so another socket is bound to the same address.
///
/// | the socket | entered by | left by |
/// |---|---|---|
/// | is open | ``open(_:localAddress:at:)`` | ``close(_:at:)``, ``end()`` |
/// | is closed, another is to be bound | ``close(_:at:)``, ``bindFailed(_:)`` | ``open(_:localAddress:at:)`` |
/// | has failed permanently | ``close(_:at:)`` without an address, ``bindFailed(_:)`` at the limit | never |
struct SocketLife {
  /// The consequence of the loss of a socket.
  enum Next: Equatable {
    /// Bind another one to `address` after a pause.
    case bind(SocketAddress, after: Duration)
    /// Close the endpoint.
    case fail(reason: String)
  }

  /// The number of failed binds in a row, about ten seconds, after which the endpoint closes.
  private static let bindFailureLimit = 20
  /// The time after which a socket counts as working.
  private static let provingTime = Duration.seconds(1)

  /// The open socket; nil if none.
  private(set) var port: (any DatagramPort)?
  /// The bound address, which a replacement must have, too.
  private(set) var localAddress: SocketAddress?
  /// Sockets that failed and were replaced by another.
  private(set) var replaced: UInt64 = 0
  /// The counters of closed sockets, the failures that closed one, and datagrams without a socket.
  private var closedCounters = SocketCounters()
  /// True if the system has refused to segment. A socket may report that after it was closed for
  /// it.
  private var isSegmentationRefused = false
  /// Segments that a socket could not send, for its replacement.
  private var refusedSegments: [RefusedSegments] = []
  /// The number of sockets in a row that failed before they counted as working.
  private var failures = 0
  private var bindFailures = 0
  private var openedAt = Instant(nanoseconds: 0)

  /// The sum of all sockets' counters. The offload flags are those of the newest socket.
  var counters: SocketCounters {
    var counters = closedCounters
    if let port { counters.add(port.counters) }
    return counters
  }

  /// True if the next socket may try to segment: not after a refusal.
  var maySegment: Bool { !isSegmentationRefused && (replaced == 0 || counters.isUsingSegmentationOffload) }

  /// Records an open socket.
  mutating func open(_ port: any DatagramPort, localAddress: SocketAddress?, at now: Instant) {
    self.port = port
    // A socket that does not know its address is bound where its predecessor was.
    if let localAddress { self.localAddress = localAddress }
    openedAt = now
    bindFailures = 0
  }

  /// Records that the system or NIO has closed a socket.
  ///
  /// - Returns: What follows; nil if it is not the current socket.
  mutating func close(_ port: any DatagramPort, at now: Instant) -> Next? {
    guard self.port === port else { return nil }
    closedCounters.add(port.counters)
    self.port = nil
    closedCounters.sendErrors += 1
    if openedAt.duration(to: now) > Self.provingTime { failures = 0 }
    // At once, then after 1, 2, 4 … 64 ms: without a socket nothing is received either.
    let pause: Duration = failures == 0 ? .zero : .milliseconds(1 << (failures - 1))
    failures = min(failures + 1, 7)
    return next(after: pause)
  }

  /// Records that another socket is being bound.
  mutating func willBind() { replaced += 1 }

  /// Records that the bind failed, and returns what follows.
  mutating func bindFailed(_ error: any Error) -> Next {
    bindFailures += 1
    guard bindFailures < Self.bindFailureLimit else { return .fail(reason: "\(error)") }
    return next(after: .milliseconds(1 << min(bindFailures, 10)))
  }

  private func next(after pause: Duration) -> Next {
    guard let localAddress else { return .fail(reason: "the socket failed and its address is not known") }
    return .bind(localAddress, after: pause)
  }

  /// Removes and returns the socket when the endpoint closes. The caller closes it and then calls
  /// ``addCounts(of:)``.
  mutating func end() -> (any DatagramPort)? { port.take() }

  /// Adds the counters of a socket that ``end()`` returned, after it was closed.
  mutating func addCounts(of closed: any DatagramPort) { closedCounters.add(closed.counters) }

  /// Counts datagrams that no socket was open for.
  mutating func countUnsent(_ datagrams: Int) { closedCounters.unsentDatagrams += UInt64(datagrams) }

  /// Keeps what a socket could not send, for its replacement.
  mutating func keep(_ segments: RefusedSegments) {
    isSegmentationRefused = true
    refusedSegments.append(segments)
  }

  /// Removes and returns the segments for the current socket.
  mutating func takeRefusedSegments() -> [RefusedSegments] {
    defer { refusedSegments = [] }
    return refusedSegments
  }
}
