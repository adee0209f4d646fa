// SPDX-License-Identifier: Apache-2.0
package import NIOCore
package import ZSSP

/// The options of a ``UDPEndpoint``: its use of the socket, and its buffers for slow consumers.
public struct UDPOptions: Sendable {
  /// The maximum number of messages buffered for a session whose reader is slow, 1024 by default.
  /// Each further message replaces the oldest, which is counted: this is a datagram service, and
  /// the newest message is worth most.
  public var messageBuffer = 1024
  /// The maximum size of those messages in total, in bytes, 4 MiB by default. One message always
  /// has room.
  public var messageBufferBytes = 4 << 20
  /// The maximum number of events buffered for a session, 64 by default. Each further event
  /// replaces the oldest.
  public var eventBuffer = 64
  /// The maximum number of downgrades buffered for ``UDPEndpoint/downgrades``, 1024 by default.
  /// Each further one replaces the oldest.
  public var downgradeBuffer = 1024
  /// The maximum number of handshakes that wait in ``UDPEndpoint/incoming``, 64 by default. Further
  /// ones are refused silently and counted.
  public var incomingBuffer = 64
  /// The size in bytes of messages that may wait to be sealed and sent, 1 MiB by default. Senders
  /// are suspended while it is exceeded.
  public var sendBuffer = 1 << 20
  /// The number of shards: 1, 2, 4, … 256; 1 by default. Each shard has its own sockets on the same
  /// port, and the event loops of the group take shards in turn, so that sessions are spread over
  /// the processors. A session stays in its shard. Where the system does not steer datagrams to the
  /// right shard, they are handed over, which reduces the gain.
  public var shards = 1
  /// The maximum number of items of public-key work caused by strangers that wait or run, 64 by
  /// default. With a ``/ZSSP/HelloPolicy`` that has a budget, at most this many and at most
  /// ``/ZSSP/Settings/helloWorkLimit`` are begun; with ``/ZSSP/HelloPolicy/allow`` further ones are
  /// dropped and counted.
  public var publicKeyQueue = 64
  /// The number of threads for public-key work, 1 by default. The crypto provider must return from
  /// each call: a thread that it blocks does no other work. Handshakes wait at most
  /// ``/ZSSP/Settings/handshakeTimeout`` for the work, re-keys at most
  /// ``/ZSSP/Settings/rekeyTimeout``.
  public var publicKeyThreads = 1
  /// The maximum number of requests to the ratchet store that wait or run, 4096 by default. Further
  /// ones fail, which the protocol survives: packets are sent again.
  public var storeQueue = 4096
  // [DEC-15]
  /// The timeout of a request to the ratchet store, from when the protocol makes it; 30 s by
  /// default. A request without an answer in time counts as failed, and the next one about the same
  /// peer is made; see ``/ZSSP/RatchetStore``. It counts against ``storeQueue`` until the store
  /// answers.
  public var storeTimeout = Duration.seconds(30)
  // [DEC-83]
  /// The silence of a peer after which its session probes it, less up to a quarter at random; 15 s
  /// by default, nil for never. This and ``idleTimeout`` are used only if the endpoint's settings
  /// have neither `Settings.keepAlive` nor `Settings.idleTimeout`.
  public var keepAlive: Duration? = .seconds(15)
  /// The silence of a peer after which its session ends with `EndReason.peerSilent`; 45 s by
  /// default, nil for never. Must be longer than ``keepAlive``.
  public var idleTimeout: Duration? = .seconds(45)
  /// True to send runs of equal datagrams as one UDP GSO super-datagram, if the kernel can; the
  /// default. If it turns out that it cannot, the endpoint stops trying.
  public var segmentationOffload = true
  /// True to let the kernel deliver several datagrams of one sender as one (UDP GRO), if it can;
  /// the default.
  public var receiveOffload = true
  /// The maximum number of datagrams read with one system call, where the system has such a call;
  /// 31 by default. The read buffer is a power of two in size, divided by this; an odd number keeps
  /// the datagrams from sharing cache lines.
  public var readBatch = 31
  /// The requested size of the kernel's receive buffer (SO_RCVBUF) in bytes, 4 MiB by default; nil
  /// for the system's default. The kernel may give less.
  public var receiveBufferSize: Int? = 4 << 20
  /// The requested size of the kernel's send buffer (SO_SNDBUF) in bytes, 4 MiB by default; nil for
  /// the system's default. The kernel may give less.
  public var sendBufferSize: Int? = 4 << 20

  // [DEC-88]
  /// The policy for IP fragmentation, `allowed` by default. It applies to all datagrams of the
  /// endpoint. On systems other than Linux it has no effect, and the system decides.
  public var fragmentation = Fragmentation.allowed
  /// True to give the traffic class of datagrams to a ``MessageHandler``.
  package var reportsTrafficClass = false

  // [DEC-88]
  /// The policy for datagrams that are too large for a part of their path.
  public enum Fragmentation: Sendable {
    /// Routers of IPv4 and this host fragment them ("don't fragment" is never set). They arrive on
    /// narrow paths, at the cost of two packets for one. The default.
    case allowed
    /// The network never fragments datagrams ("don't fragment" is always set): they are lost on a
    /// path that is too narrow. Use this for an application that searches the path's MTU with
    /// messages that the other side answers (RFC 8899), and sets ``Session/setDatagramLimit(_:)``,
    /// as the tunnel does. Its probes are ``/ZSSP/SendRun/appendProbe(_:)``; other messages are
    /// split at the limit. ICMP's reports about the path are ignored, because anyone can send them.
    /// On a ``EpollEventLoopGroup``, a session whose datagrams do not fit this host's own network
    /// device is limited to ``/ZSSP/Settings/smallestDatagramLimit`` at once.
    case forbidden
  }

  /// True to log sessions at debug, because the owner of the endpoint logs them itself.
  package var logsSessionsAsDetail = false

  /// Returns the owner's name of a peer, for lines of the log; nil if peers have none. Called on
  /// any event loop, a bounded number of times a second.
  package var nameOfPeer: (@Sendable (PublicKey) -> String?)?

  /// Called with each new channel before it is bound. Tests use it to put a handler between the
  /// endpoint and the socket.
  package var configureChannel: (@Sendable (any Channel) throws -> Void)?

  /// Called with the descriptor of each socket of a ``EpollEventLoopGroup``, before anything is
  /// sent. An error number other than 0 refuses the socket.
  package var configureSocket: (@Sendable (_ descriptor: CInt) -> CInt)?

  /// Called before each piece that goes to a socket of a ``EpollEventLoopGroup``, for tests. An
  /// error number other than 0 refuses the piece. `size` is that of the whole piece in bytes.
  package var refusePiece: (@Sendable (_ size: Int, _ isSegmented: Bool) -> CInt)?

  /// Makes the default options.
  public init() {}
}
