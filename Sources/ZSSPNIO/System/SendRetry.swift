// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import ZSSP

  /// Decides when to retry what the system does not take now.
  ///
  /// A full socket (EAGAIN) becomes writable, and epoll reports that. That does not help where the
  /// socket is writable and the system refuses nevertheless, because memory is short (ENOBUFS,
  /// ENOMEM) or the destination is not resolved yet: epoll would report a writable socket at once
  /// and forever. Then the retry comes after a pause that doubles each time. One datagram must not
  /// delay those for other peers, so it is dropped in the end, whatever the reason.
  struct SendRetry {
    /// The action for a refused piece.
    enum Action: Equatable {
      /// Retry when the socket is writable.
      case whenWritable
      /// Retry after a pause, whether or not the socket is writable.
      case after(Duration)
      /// Drop the first piece, and retry the next one now.
      case drop
    }

    /// The first pause.
    static let first = Duration.milliseconds(1)
    /// The longest pause.
    static let longest = Duration.milliseconds(64)
    /// The number of refusals of one piece in a row that lead to a pause, 191 ms in total. The next
    /// one drops it.
    static let limit = 8

    private var refusals = 0

    /// Records that the system took something.
    mutating func progressed() { refusals = 0 }

    /// Returns what to do after the system refused the first piece for now.
    ///
    /// - Parameters:
    ///   - isFull: True if the error was EAGAIN.
    ///   - wasWritable: True if epoll reported a writable socket for this round, and nothing was
    ///     taken since.
    mutating func refused(isFull: Bool, wasWritable: Bool) -> Action {
      if isFull, !wasWritable { return .whenWritable }
      guard refusals < Self.limit else {
        // The next piece gets the longest pause once, instead of all pauses again.
        refusals = Self.limit - 1
        return .drop
      }
      defer { refusals += 1 }
      return .after(min(Self.longest, Self.first * (1 << refusals)))
    }
  }
#endif
