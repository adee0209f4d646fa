// SPDX-License-Identifier: Apache-2.0
package import NIOCore

/// How a ``UDPEndpoint`` uses the socket, and how much it keeps for those who are slow.
public struct UDPOptions: Sendable {
  /// Messages that are kept for a session whose reader is slow. When there is one more the oldest is dropped and
  /// counted: this is a datagram service, and the newest message is worth most.
  public var messageBuffer = 1024
  /// The bytes of those messages together. One message always has room.
  public var messageBufferBytes = 4 << 20
  /// Events that are kept for a session whose events nobody reads. The oldest is dropped for the newest.
  public var eventBuffer = 64
  /// Downgrades that are kept while nobody reads ``UDPEndpoint/downgrades``. The oldest is dropped for the newest.
  public var downgradeBuffer = 1024
  /// Handshakes of others that wait for ``UDPEndpoint/incoming`` to be read. Those that do not fit are refused in
  /// silence and counted.
  public var incomingBuffer = 64
  /// Bytes of messages that may wait to be sealed and sent; senders are suspended while there are more.
  public var sendBuffer = 1 << 20
  /// How many shards the endpoint has: 1, 2, 4, … 256. Each is an endpoint of its own with sockets of its own on the same
  /// port, on the event loops of the group in turn, so that sessions are spread over the processors; a session stays in its
  /// shard. Where the system does not steer datagrams to the right shard they are handed over, and less is gained.
  public var shards = 1
  /// Items of public-key work caused by strangers that may wait or run at once. With a
  /// ``HelloPolicy`` that has a budget no more than that are begun, nor more than
  /// ``Settings/helloWorkLimit``; with ``HelloPolicy/allow`` what is beyond is dropped and counted.
  public var publicKeyQueue = 64
  /// Threads of this endpoint that do public-key work. The crypto provider must return from each
  /// call: a thread that it keeps does no other work. Handshakes do not wait for it longer than
  /// ``Settings/handshakeTimeout``, nor re-keys than ``Settings/rekeyTimeout``.
  public var publicKeyThreads = 1
  /// Requests to the ratchet store that may wait or run at once. More are answered with a failure, which the protocol
  /// survives: packets are sent again.
  public var storeQueue = 4096
  // [DEC-15]
  /// How long a request to the ratchet store may take, from when the protocol makes it. One that is
  /// not answered in time counts as failed, and the next one about the same peer is made; see
  /// ``RatchetStore``. It keeps its place in ``storeQueue`` until the store answers.
  public var storeTimeout = Duration.seconds(30)
  // [DEC-83]
  /// After how much silence of its peer a session probes it, less up to a quarter at random; nil for never. Used, together with
  /// ``idleTimeout``, only where the endpoint's settings have neither `Settings.keepAlive` nor `Settings.idleTimeout`.
  public var keepAlive: Duration? = .seconds(15)
  /// After how much silence of its peer a session ends, with `EndReason.peerSilent`; nil for never. Longer than ``keepAlive``.
  public var idleTimeout: Duration? = .seconds(45)
  /// Whether runs of equal datagrams leave as one UDP GSO super-datagram, if the kernel can. When it turns out at run
  /// time that it cannot, the endpoint stops trying.
  public var segmentationOffload = true
  /// Whether the kernel may hand over several datagrams of one sender as one (UDP GRO), if it can.
  public var receiveOffload = true
  /// Datagrams that are read with one system call, where there is one for that. The read buffer has a size that is a
  /// power of two, divided by this; an odd number keeps the datagrams from falling on the same lines of the cache.
  public var readBatch = 31
  /// The size to ask for of the kernel's receive buffer (SO_RCVBUF) in bytes; the system's default if nil. The kernel
  /// may give less.
  public var receiveBufferSize: Int? = 4 << 20
  /// The size to ask for of the kernel's send buffer (SO_SNDBUF) in bytes; the system's default if nil. The kernel
  /// may give less.
  public var sendBufferSize: Int? = 4 << 20

  // [DEC-88]
  /// Whether datagrams may be cut on their way. All datagrams are sent alike, whatever their neighbours are. On systems other
  /// than Linux the system decides, whatever this says.
  public var fragmentation = Fragmentation.allowed
  /// Whether a ``MessageHandler`` learns the traffic class of datagrams.
  package var reportsTrafficClass = false

  // [DEC-88]
  /// Whether datagrams that are too large for a part of their path are cut there.
  public enum Fragmentation: Sendable {
    /// They are, by routers of IPv4, and by this host ("don't fragment" is never set). So they arrive on narrow paths, which costs
    /// two datagrams for one there. The default.
    case allowed
    /// They are not ("don't fragment" is always set), and are lost on a path that is too narrow. This is for an application
    /// that finds out what the path takes, by messages that the other side answers (RFC 8899), and sets
    /// ``Session/setDatagramLimit(_:)``; the tunnel does. Its probes are ``SendRun/appendProbe(_:)``: other messages are cut at the
    /// limit. What ICMP says of a path is not believed, because anybody can send
    /// that. A session whose datagrams do not fit this host's own network device is limited to
    /// ``Settings/smallestDatagramLimit`` at once, on a ``SystemEventLoopGroup``.
    case forbidden
  }

  /// Called with each new channel before it is bound, for tests that put a handler between the endpoint and the socket.
  package var configureChannel: (@Sendable (any Channel) throws -> Void)?

  /// Called with the descriptor of each socket of the system's own, before anything is sent: an error number other than 0 refuses it.
  package var configureSocket: (@Sendable (_ descriptor: CInt) -> CInt)?

  /// Asked before each piece that goes to a socket of the system's own, for tests: an error number other than 0 refuses it. The size
  /// is the whole piece's, in bytes.
  package var refusePiece: (@Sendable (_ size: Int, _ isSegmented: Bool) -> CInt)?

  /// The defaults.
  public init() {}
}
