// SPDX-License-Identifier: Apache-2.0

/// The rule that brings several sessions with one peer to one (section 14 of the specification).
///
/// When both sides open at once, the one with the smaller static key is preferred as initiator. Nothing of this shows on
/// the wire, and it works against a peer that does not know it.
extension Surroundings {
  /// What becomes of a handshake of a peer that came to X3.
  enum Precedence {
    /// It goes on, in the place of our own attempt if there is one.
    case proceed
    /// It is left for now: our own X3 may have arrived, and be confirmed any moment. That X3 is not
    /// sent again after the given moment.
    case wait(lastResend: Instant = .distantFuture)
    /// It is too late, or our own attempt is preferred.
    case refuse
  }

  /// How many resend intervals a preferred side whose X3 was not answered goes on sending the next,
  /// from the peer's X3 on: the peer refuses it for one, and one more copy leaves within another.
  /// The answer to that copy has an interval more, before the peer's X3 is taken.
  private static let preferredResends = 2

  /// Judges a handshake of the peer, whose X3 was read, beside what this side, in any shard, has
  /// with the peer.
  ///
  /// It is asked when X3 was read, and again when the application has accepted and the row was
  /// loaded, just before the swap. Of two handshakes that pass at the same time, the
  /// compare-and-swap lets one through.
  ///
  /// - Parameters:
  ///   - answeredAt: when X2 was asked for, in the order of events.
  ///   - readAt: when the first authentic X3 was read.
  func precedence(
    ofHandshakeFrom peer: PublicKey, answeredAt: PeerDirectory.Mark, readAt: Instant, at now: Instant
  ) -> Precedence {
    // The peer had a session, or went on with it, after it got this X2: it has left the attempt behind.
    // [DEC-45]
    guard directory.requestedProgress(of: peer) < answeredAt else { return .refuse }
    guard let own = directory.committedAttempt(to: peer) else { return .proceed }
    let interval = settings.resendInterval
    // [DEC-43] [DEC-44]
    guard configuration.staticKey.publicKey < peer else {
      // The preferred peer refuses our X3. One that does not know the rule, as an upstream peer or another responder with the same
      // key, takes it, and confirms within a round trip; then the first rule refuses what comes of its own attempt.
      return now < own.time.advanced(by: interval) ? .wait() : .proceed
    }
    // Our X3 may never arrive, where it is larger than the path allows, and the peer's may. The
    // peer must not take ours while we take its own.
    // [DEC-77]
    guard own.wasUnanswered else { return .refuse }
    let lastResend = max(own.time, readAt).advanced(by: interval * Self.preferredResends)
    return now < lastResend.advanced(by: interval) ? .wait(lastResend: lastResend) : .proceed
  }
}
