// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A UDP socket: a channel of NIO's, or a socket of the system's own. Used on its owner's event loop
/// only.
///
/// It gives what it reads to its owner, and knows nothing else of it.
protocol DatagramPort: AnyObject {
  /// Whether more should be given to it. What is given nevertheless is kept within bounds. A port
  /// that was not writable calls ``DatagramPortOwner/portHasRoom()`` once it is, unless it is closed
  /// first.
  var isWritable: Bool { get }
  /// Whether there is something that the system has not taken yet.
  var hasUnsent: Bool { get }
  /// What the port has counted since it was opened.
  var counters: SocketCounters { get }

  /// Sends the datagrams of a batch, or keeps copies of them until the system takes them.
  func send(_ batch: borrowing DatagramBatch)

  /// Takes out which datagrams were larger than their network device takes, as far as the port knows.
  func takeTooLarge() -> [RefusedDatagram]

  // [DEC-86]
  /// Returns this host's own address with a number of ``ZSSP/Address/localIndex``; nil if the number stands for none.
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

/// One of this host's own addresses, for shards to tell each other: each has numbers of its own.
struct OwnAddress: Hashable {
  let high: UInt64
  let low: UInt64
  let interface: UInt32
  let family: UInt8
}

/// A datagram that is larger than what its network device takes.
struct RefusedDatagram: Equatable {
  let address: Address
  /// Bytes of UDP payload.
  let size: Int
}

/// Takes what a ``DatagramPort`` reads. Called on the event loop of both.
protocol DatagramPortOwner: AnyObject {
  /// The port is open.
  func portOpened(_ port: any DatagramPort, localAddress: SocketAddress?)

  /// Takes what one read brought: a datagram, or several of one sender and one size that the kernel
  /// put together (GRO).
  ///
  /// - Parameters:
  ///   - bytes: the datagrams. They are decrypted where they lie.
  ///   - segmentSize: the size of each but the last, if there are several; else 0.
  ///   - source: where they came from; nil if that is no IP address.
  ///   - isSteered: whether the system has seen to it that they are for this shard.
  ///   - trafficClass: the IPv4 type of service or IPv6 traffic class of all of them; 0 if it is not known.
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool,
    trafficClass: UInt8)

  /// There is nothing more to read for now.
  func readComplete()

  /// The port takes more than before.
  func portHasRoom()

  /// The socket is closed, by its owner or by NIO.
  func portClosed(_ port: any DatagramPort)

  /// Returns which numbers of own addresses datagrams may still leave from; see ``ZSSP/Endpoint/localIndexesInUse()``.
  func localIndexesInUse() -> [Bool]

  /// Keeps segments for the next port: the kernel refused to make them, and NIO closes this one.
  func keep(_ segments: RefusedSegments)

  /// Takes out what was kept.
  func takeRefusedSegments() -> [RefusedSegments]
}

extension DatagramPortOwner {
  /// Takes what one read brought where the traffic class is not known.
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool
  ) {
    receive(bytes, segmentSize: segmentSize, from: source, isSteered: isSteered, trafficClass: 0)
  }
}

/// What one or several sockets have counted. The counts are those of ``TransportStatistics``.
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

  /// Adds the counts of others; what is in use stays.
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

  /// Adds what a later socket has counted and uses.
  mutating func add(_ later: SocketCounters) {
    addCounts(of: later)
    isUsingSegmentationOffload = later.isUsingSegmentationOffload
    isUsingReceiveOffload = later.isUsingReceiveOffload
  }
}

/// Segments that the kernel refused to make, to be sent one by one.
struct RefusedSegments {
  let bytes: ByteBuffer
  let address: SocketAddress
  let segmentSize: Int
}

extension DatagramBatch.Run {
  /// What a kernel takes as one super-datagram: at most this many segments…
  private static let segmentLimit = 64
  /// …and bytes.
  private static let byteLimit = 65_000

  /// Calls `body` with the parts of the run that go to the system in one piece: super-datagrams where it segments, else
  /// single datagrams.
  func forEachPiece(segmenting: Bool, _ body: (Range<Int>) -> Void) {
    let segments = segmenting ? max(1, min(Self.segmentLimit, Self.byteLimit / max(1, segmentSize))) : 1
    let stride = segments * segmentSize
    var start = range.lowerBound
    // A datagram of no bytes is none of the protocol's.
    while start < range.upperBound, stride > 0 {
      let end = min(start + stride, range.upperBound)
      body(start..<end)
      start = end
    }
  }
}
