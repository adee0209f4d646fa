// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// How often sockets failed lately, so that they are not replaced all the time.
struct SocketReplacements {
  /// Sockets that failed in a row without one in between that worked for a while.
  var failures = 0
  /// Attempts in a row to bind that failed.
  var bindFailures = 0
  /// When the last socket was bound.
  var lastBound = Instant(nanoseconds: 0)
}

/// The life of sockets under the endpoint.
///
/// NIO closes a UDP channel when the system fails to send, for reasons that pass or concern one destination only: no
/// route, a firewall, a device that is down, a super-datagram that cannot be segmented. Sessions must not end for
/// these, so the driver binds another socket to the same address and goes on.
extension Driver {
  /// After so many failures in a row to bind, some ten seconds, the endpoint gives up.
  private static let bindFailureLimit = 20
  /// A socket that lasted this long has worked.
  private static let provingTime = Duration.seconds(1)

  /// There is a socket.
  func socketOpened(_ port: any DatagramPort, localAddress: SocketAddress?) {
    guard !isClosed else { return port.close {} }
    self.port = port
    self.localAddress = localAddress
    replacements.lastBound = now
    replacements.bindFailures = 0
    drainSends()
  }

  /// GSO stays off once it was refused.
  func offersSegmentationOffload(_ isOffered: Bool) {
    if counters.socketsReplaced == 0 || !isOffered { counters.isUsingSegmentationOffload = isOffered }
  }

  /// A socket failed to read or to send.
  func socketFailed() { counters.sendErrors += 1 }

  /// The socket is closed, by this side or by NIO.
  func socketClosed(_ port: any DatagramPort) {
    guard self.port === port else { return }
    self.port = nil
    guard !isClosed else { return }
    counters.sendErrors += 1
    if replacements.lastBound.duration(to: now) > Self.provingTime { replacements.failures = 0 }
    // At once, then after 1, 2, 4 … 64 ms: without a socket nothing comes in either.
    bindAgain(after: replacements.failures == 0 ? 0 : 1 << (replacements.failures - 1))
    replacements.failures = min(replacements.failures + 1, 7)
  }

  private func bindAgain(after milliseconds: Int64) {
    guard let localAddress else { return }
    let bound = bound
    eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { bound.value.bindAgain(to: localAddress) }
  }

  private func bindAgain(to address: SocketAddress) {
    guard !isClosed, port == nil else { return }
    counters.socketsReplaced += 1
    let sharing = siblings.map { _ in ChannelPort.Sharing(joins: true) }
    ChannelPort.bind(to: address, for: self, sharing).assumeIsolated().whenFailure { [self] error in
      guard !isClosed else { return }
      replacements.bindFailures += 1
      guard replacements.bindFailures < Self.bindFailureLimit else { return close(.transport("\(error)")) }
      bindAgain(after: 1 << min(replacements.bindFailures, 10))
    }
  }
}
