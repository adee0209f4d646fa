// SPDX-License-Identifier: Apache-2.0

// [CHAL-13]
/// What a responder asks of a Hello before it does any public-key work (section 8).
public enum HelloPolicy: Sendable, Hashable {
  /// Every Hello is read.
  case allow
  /// A Hello must prove that its sender owns its address, and has worked. It is then read in turn,
  /// within the default ``HelloBudget/challenged``. With π1 this breaks silence.
  case challenge
  /// No Hello is read.
  case drop
  /// Hellos are read at once while ``HelloBudget/unchallenged`` lasts. Beyond it they are
  /// challenged, and read in turn once they answer; with π1 they are read in turn without a
  /// challenge. The default.
  case automatic(HelloBudget = HelloBudget())
}

/// Limits on the public-key work that Hellos cause under ``HelloPolicy/automatic(_:)``, as
/// processor time per second. Up to a second's worth of unused time is kept.
///
/// The work that a Hello leads to is reading it, and if it is genuine, answering it and reading X3.
/// The driver reports the time of each item (``Endpoint/complete(_:took:at:)``). Until then, and
/// with a driver that reports none, a Hello counts as ``assumedTime``. A Hello pays for one X3;
/// further ones of its handshake are read while a quarter of the time lasts that the Hello was
/// admitted under, and are charged to the whole of it.
public struct HelloBudget: Sendable, Hashable {
  // [DEC-52]
  /// Time per second for Hellos that are read at once, without a challenge. The default is 100 ms,
  /// that is 50 Hellos at ``assumedTime``.
  public var unchallenged: Duration = .milliseconds(100)
  // [DEC-54]
  /// Time per second for Hellos that answer a challenge, in addition to ``unchallenged``; with π1,
  /// for all Hellos beyond that. They are read in turn, one of each network, and there one of each
  /// host: a source waits until every other one had a turn. The default is 200 ms, that is 100
  /// Hellos at ``assumedTime``.
  public var challenged: Duration = .milliseconds(200)
  // [DEC-53]
  /// Hellos per second from one host that are read without a challenge. The default is 25.
  public var perSource = 25

  // [DEC-55]
  /// The cost of a Hello until its work is measured, 2 ms: about that of a genuine one.
  public static let assumedTime: Duration = .milliseconds(2)
  /// The part of ``assumedTime`` that is reading X3.
  static let assumedBodyTime: Duration = .microseconds(500)

  /// The default budget.
  public init() {}
}
