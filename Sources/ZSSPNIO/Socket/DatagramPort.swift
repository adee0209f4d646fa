// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A UDP socket: a NIO channel, or a socket of the system's own. Used on its owner's event loop
/// only.
///
/// It gives what it reads to its owner, and depends on nothing else of the owner.
protocol DatagramPort: AnyObject {
  /// True if the port should be given more datagrams. It still keeps a bounded number while false.
  /// When it becomes true, the port calls ``DatagramPortOwner/portHasRoom()``, unless it is closed
  /// first.
  var isWritable: Bool { get }
  /// True if the system has not taken everything yet.
  var hasUnsent: Bool { get }
  /// The port's counters since it was opened.
  var counters: SocketCounters { get }

  /// Sends the datagrams of a batch, or keeps copies until the system takes them.
  func send(_ batch: borrowing DatagramBatch)

  /// Removes and returns the datagrams that were too large for their network device, as far as the
  /// port knows.
  func takeTooLarge() -> [RefusedDatagram]

  // [DEC-86]
  /// Returns this host's own address with a number of ``/ZSSP/Address/localIndex``; nil if the
  /// number stands for none.
  func ownAddress(_ index: UInt8) -> OwnAddress?

  /// Returns the number of an own address; 0 if there is none.
  func localIndex(of own: OwnAddress) -> UInt8

  /// Closes the socket and calls `completion`, perhaps at once.
  func close(_ completion: @escaping @Sendable () -> Void)
}

extension DatagramPort {
  func takeTooLarge() -> [RefusedDatagram] { [] }
  func ownAddress(_ index: UInt8) -> OwnAddress? { nil }
  func localIndex(of own: OwnAddress) -> UInt8 { 0 }
}

/// An address of this host, in the form in which shards tell each other: each shard has its own
/// numbers for addresses.
struct OwnAddress: Hashable {
  let high: UInt64
  let low: UInt64
  let interface: UInt32
  let family: UInt8
}

/// A datagram that was too large for its network device.
struct RefusedDatagram: Equatable {
  let address: Address
  /// The size in bytes of UDP payload.
  let size: Int
}

/// Receives what a ``DatagramPort`` reads. Called on the event loop of both.
protocol DatagramPortOwner: AnyObject {
  /// Called when the port is open.
  func portOpened(_ port: any DatagramPort, localAddress: SocketAddress?)

  /// Called with the result of one read: a datagram, or several of one sender and one size that the
  /// kernel merged (GRO).
  ///
  /// - Parameters:
  ///   - bytes: The datagrams. They are decrypted in place.
  ///   - segmentSize: The size in bytes of each but the last, if there are several; otherwise 0.
  ///   - source: The sender's address; nil if it is no IP address.
  ///   - isSteered: True if the system delivers only datagrams of this shard to the socket.
  ///   - trafficClass: The IPv4 type of service or IPv6 traffic class of all datagrams; 0 if
  ///     unknown.
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool,
    trafficClass: UInt8)

  /// Called after the last datagram of a burst.
  func readComplete()

  /// Called when the port takes more than before.
  func portHasRoom()

  /// Called when the owner or NIO has closed the socket.
  func portClosed(_ port: any DatagramPort)

  /// Returns which numbers of own addresses datagrams may still leave from; see
  /// ``/ZSSP/Endpoint/localIndexesInUse()``.
  func localIndexesInUse() -> [Bool]

  /// Keeps segments for the next port: the kernel refused to make them, and NIO closes this one.
  func keep(_ segments: RefusedSegments)

  /// Removes and returns the kept segments.
  func takeRefusedSegments() -> [RefusedSegments]
}

extension DatagramPortOwner {
  /// Receives the result of one read whose traffic class is unknown.
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool
  ) {
    receive(bytes, segmentSize: segmentSize, from: source, isSteered: isSteered, trafficClass: 0)
  }
}

/// Counters of one or several sockets, as in ``TransportStatistics``.
struct SocketCounters: Sendable {
  var reads: UInt64 = 0
  var superDatagramsReceived: UInt64 = 0
  var unreadDatagrams: UInt64 = 0
  var unreadHellos: UInt64 = 0
  var writes: UInt64 = 0
  var superDatagramsSent: UInt64 = 0
  var unsentDatagrams: UInt64 = 0
  var sendErrors: UInt64 = 0
  var isUsingSegmentationOffload = false
  var isUsingReceiveOffload = false

  /// Counts a read.
  mutating func countRead(isSuper: Bool) {
    reads += 1
    if isSuper { superDatagramsReceived += 1 }
  }

  /// Adds the counts of other sockets, and keeps the offload flags.
  mutating func addCounts(of other: SocketCounters) {
    reads += other.reads
    superDatagramsReceived += other.superDatagramsReceived
    unreadDatagrams += other.unreadDatagrams
    unreadHellos += other.unreadHellos
    writes += other.writes
    superDatagramsSent += other.superDatagramsSent
    unsentDatagrams += other.unsentDatagrams
    sendErrors += other.sendErrors
  }

  /// Adds the counts of a later socket, and takes over its offload flags.
  mutating func add(_ later: SocketCounters) {
    addCounts(of: later)
    isUsingSegmentationOffload = later.isUsingSegmentationOffload
    isUsingReceiveOffload = later.isUsingReceiveOffload
  }
}

/// Segments that the kernel refused to make. They are sent one by one.
struct RefusedSegments {
  let bytes: ByteBuffer
  let address: SocketAddress
  let segmentSize: Int
}

extension DatagramBatch.Run {
  /// The maximum number of segments in a super-datagram.
  private static let segmentLimit = 64
  /// The maximum number of bytes in a super-datagram.
  private static let byteLimit = 65_000

  /// Calls `body` with the ranges of the run that go to the system in one piece: super-datagrams if
  /// it segments, otherwise single datagrams.
  func forEachPiece(segmenting: Bool, _ body: (Range<Int>) -> Void) {
    let segments = segmenting ? max(1, min(Self.segmentLimit, Self.byteLimit / max(1, segmentSize))) : 1
    let stride = segments * segmentSize
    var start = range.lowerBound
    // The protocol sends no empty datagrams.
    while start < range.upperBound, stride > 0 {
      let end = min(start + stride, range.upperBound)
      body(start..<end)
      start = end
    }
  }
}
