// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import ZSSP

  /// When to offer to the system again what it does not take now.
  ///
  /// A full socket (EAGAIN) becomes writable, and epoll says so. That is no help where the socket
  /// is writable and the system refuses nevertheless, because it has no memory (ENOBUFS, ENOMEM) or
  /// does not know yet where a datagram is to go: epoll would say at once, and for ever, that the
  /// socket is writable. Then it is offered again after a while that doubles each time. Whatever
  /// the reason is, one datagram must not hold up those for other peers, so in the end it is
  /// dropped.
  struct SendRetry {
    /// What to do with what was refused.
    enum Action: Equatable {
      /// Offer it again when the socket can be written to.
      case whenWritable
      /// Offer it again after a while, whether or not the socket can be written to.
      case after(Duration)
      /// Drop the first piece, and offer the next one now.
      case drop
    }

    /// The first while…
    static let first = Duration.milliseconds(1)
    /// …and the longest.
    static let longest = Duration.milliseconds(64)
    /// Refusals in a row of one piece that lead to a while each; it is dropped at the next. They
    /// take 191 ms.
    static let limit = 8

    private var refusals = 0

    /// The system took something.
    mutating func progressed() { refusals = 0 }

    /// The system refused the first piece for now.
    ///
    /// - Parameters:
    ///   - isFull: whether it said that the socket is full (EAGAIN).
    ///   - wasWritable: whether epoll had said of this round that the socket can be written to, and
    ///     nothing was taken since.
    mutating func refused(isFull: Bool, wasWritable: Bool) -> Action {
      if isFull, !wasWritable { return .whenWritable }
      guard refusals < Self.limit else {
        // The next piece is given the longest while, and not all of them again.
        refusals = Self.limit - 1
        return .drop
      }
      defer { refusals += 1 }
      return .after(min(Self.longest, Self.first * (1 << refusals)))
    }
  }
#endif
