// SPDX-License-Identifier: Apache-2.0

/// The rule that reduces several sessions with one peer to one (section 14 of the specification).
///
/// When both sides open at once, the one with the smaller static key is preferred as initiator. The
/// rule changes nothing on the wire, and works with a peer that does not have it.
extension Surroundings {
  /// The decision on a peer's handshake whose X3 was read.
  enum Precedence {
    /// The handshake continues, and replaces this side's own attempt if there is one.
    case proceed
    /// The handshake waits: this side's own X3 may have arrived, and may be confirmed soon. That X3
    /// is not resent after the given moment.
    case wait(lastResend: Instant = .distantFuture)
    /// The handshake is too late, or this side's own attempt is preferred.
    case refuse
  }

  /// The number of resend intervals, counted from the peer's X3, in which a preferred side whose X3
  /// was not answered keeps resending it. The peer refuses it for one interval, and one more copy
  /// is sent within another. The answer to that copy has one more interval before the peer's X3 is
  /// accepted.
  private static let preferredResends = 2

  /// Decides on a peer's handshake whose X3 was read, given the sessions and attempts that this
  /// side has with the peer in any shard.
  ///
  /// It is called when X3 was read, and again after the application accepted and the row was
  /// loaded, just before the swap. If two handshakes pass at the same time, the compare-and-swap
  /// succeeds for one of them.
  ///
  /// - Parameters:
  ///   - peer: the peer whose X3 was read.
  ///   - answeredAt: the mark of the X2, in the order of events.
  ///   - readAt: when the first authentic X3 was read.
  ///   - now: the present time.
  func precedence(
    ofHandshakeFrom peer: PublicKey, answeredAt: PeerDirectory.Mark, readAt: Instant, at now: Instant
  ) -> Precedence {
    // The peer established or continued a session after it received this X2: it has abandoned the
    // attempt.
    // [DEC-45]
    guard directory.requestedProgress(of: peer) < answeredAt else { return .refuse }
    guard let own = directory.committedAttempt(to: peer) else { return .proceed }
    let interval = settings.resendInterval
    // [DEC-43] [DEC-44]
    guard configuration.staticKey.publicKey < peer else {
      // The preferred peer refuses our X3. A peer without this rule, such as an upstream peer or
      // another responder with the same key, accepts it and confirms within a round trip. Then the
      // first rule refuses its own attempt.
      return now < own.time.advanced(by: interval) ? .wait() : .proceed
    }
    // Our X3 may never arrive if it is larger than the path allows, while the peer's does. The peer
    // must not accept ours while we accept its own.
    // [DEC-77]
    guard own.wasUnanswered else { return .refuse }
    let lastResend = max(own.time, readAt).advanced(by: interval * Self.preferredResends)
    return now < lastResend.advanced(by: interval) ? .wait(lastResend: lastResend) : .proceed
  }
}
