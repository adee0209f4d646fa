// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The sockets under an endpoint, one after another, and when the next is bound.
///
/// NIO closes a UDP channel when the system fails to send, for reasons that pass or concern one
/// destination only: no route, a firewall, a device that is down, a super-datagram that cannot be
/// segmented. Sessions must not end for these, so another socket is bound to the same address.
///
/// | the socket | entered by | left by |
/// |---|---|---|
/// | is open | ``open(_:localAddress:at:)`` | ``close(_:at:)``, ``end()`` |
/// | is closed, another is to be bound | ``close(_:at:)``, ``bindFailed(_:)`` | ``open(_:localAddress:at:)`` |
/// | has failed for good | ``close(_:at:)`` without an address, ``bindFailed(_:)`` at the limit | never |
struct SocketLife {
  /// What follows when there is no socket any more.
  enum Next: Equatable {
    /// Bind another one to `address` after a pause.
    case bind(SocketAddress, after: Duration)
    /// Give up.
    case fail(reason: String)
  }

  /// Failures in a row to bind, some ten seconds, after which the endpoint gives up.
  private static let bindFailureLimit = 20
  /// A socket that lasted this long has worked.
  private static let provingTime = Duration.seconds(1)

  /// The socket, while there is one.
  private(set) var port: (any DatagramPort)?
  /// Where the socket is bound, which a replacement must be too.
  private(set) var localAddress: SocketAddress?
  /// Sockets that failed and were replaced by another.
  private(set) var replaced: UInt64 = 0
  /// Counts of closed sockets, of failures that closed one, and of datagrams without a socket.
  private var closedCounters = SocketCounters()
  /// Whether the system has refused to segment. A socket may say so after it was closed for that.
  private var isSegmentationRefused = false
  /// Segments that a socket could not send, for the next one.
  private var refusedSegments: [RefusedSegments] = []
  /// Sockets that failed in a row without one in between that worked for a while.
  private var failures = 0
  private var bindFailures = 0
  private var openedAt = Instant(nanoseconds: 0)

  /// What all sockets have counted. What the present one uses, or the last one did, is in use.
  var counters: SocketCounters {
    var counters = closedCounters
    if let port { counters.add(port.counters) }
    return counters
  }

  /// Whether the next socket may try to have the system segment: not once that was refused.
  var maySegment: Bool { !isSegmentationRefused && (replaced == 0 || counters.isUsingSegmentationOffload) }

  /// A socket is open.
  mutating func open(_ port: any DatagramPort, localAddress: SocketAddress?, at now: Instant) {
    self.port = port
    // A socket that does not know its address is where the one before it was.
    if let localAddress { self.localAddress = localAddress }
    openedAt = now
    bindFailures = 0
  }

  /// A socket was closed by the system, or by NIO.
  ///
  /// - Returns: what follows; nil if it is not the present socket.
  mutating func close(_ port: any DatagramPort, at now: Instant) -> Next? {
    guard self.port === port else { return nil }
    closedCounters.add(port.counters)
    self.port = nil
    closedCounters.sendErrors += 1
    if openedAt.duration(to: now) > Self.provingTime { failures = 0 }
    // At once, then after 1, 2, 4 … 64 ms: without a socket nothing comes in either.
    let pause: Duration = failures == 0 ? .zero : .milliseconds(1 << (failures - 1))
    failures = min(failures + 1, 7)
    return next(after: pause)
  }

  /// Another socket is being bound.
  mutating func willBind() { replaced += 1 }

  /// It could not be bound.
  mutating func bindFailed(_ error: any Error) -> Next {
    bindFailures += 1
    guard bindFailures < Self.bindFailureLimit else { return .fail(reason: "\(error)") }
    return next(after: .milliseconds(1 << min(bindFailures, 10)))
  }

  private func next(after pause: Duration) -> Next {
    guard let localAddress else { return .fail(reason: "the socket failed and its address is not known") }
    return .bind(localAddress, after: pause)
  }

  /// The endpoint closes: takes out the socket, which is to be closed and then counted.
  mutating func end() -> (any DatagramPort)? { port.take() }

  /// Adds what a socket that was taken out and closed has counted.
  mutating func addCounts(of closed: any DatagramPort) { closedCounters.add(closed.counters) }

  /// Counts datagrams for which there is no socket.
  mutating func countUnsent(_ datagrams: Int) { closedCounters.unsentDatagrams += UInt64(datagrams) }

  /// Keeps what a socket could not send for the next one.
  mutating func keep(_ segments: RefusedSegments) {
    isSegmentationRefused = true
    refusedSegments.append(segments)
  }

  /// Takes out what is kept for the present socket.
  mutating func takeRefusedSegments() -> [RefusedSegments] {
    defer { refusedSegments = [] }
    return refusedSegments
  }
}
