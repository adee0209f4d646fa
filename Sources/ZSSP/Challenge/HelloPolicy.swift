// SPDX-License-Identifier: Apache-2.0

// [CHAL-13]
/// The condition that a Hello must meet before a responder does any public-key work (section 8).
public enum HelloPolicy: Sendable, Hashable {
  /// Every Hello is read at once.
  case allow
  /// A Hello must prove that its sender owns its address and did work. It then waits in a queue for
  /// its turn, within the default ``HelloBudget/challenged``. With
  /// ``SecurityFlags/helloRequiresRatchet`` this breaks silence.
  case challenge
  /// Every Hello is dropped.
  case drop
  /// The default. Hellos are read at once while ``HelloBudget/unchallenged`` lasts. Beyond it they
  /// are challenged, and wait for their turn once they answer. With
  /// ``SecurityFlags/helloRequiresRatchet`` they wait for their turn without a challenge.
  case automatic(HelloBudget = HelloBudget())
}

/// Limits on the public-key work that Hellos cause under ``HelloPolicy/automatic(_:)``, as
/// processor time per second. Unused time is kept for up to one second.
///
/// A Hello leads to reading it and, if it is genuine, to answering it and reading X3. The driver
/// reports the time of each item of work (``Endpoint/complete(_:took:at:)``). Until then, and with
/// a driver that reports none, a Hello counts as ``assumedTime``. A Hello pays for one X3. Further
/// ones of its handshake are charged to the budget that the Hello was admitted under, and may use a
/// quarter of it.
public struct HelloBudget: Sendable, Hashable {
  // [DEC-52]
  /// Time per second for Hellos that are read at once, without a challenge. The default is 100 ms,
  /// which is 50 Hellos at ``assumedTime``.
  public var unchallenged: Duration = .milliseconds(100)
  // [DEC-54]
  /// Time per second for Hellos that answer a challenge, in addition to ``unchallenged``; with
  /// ``SecurityFlags/helloRequiresRatchet``, for all Hellos beyond that. Networks take turns, and
  /// so do the hosts of a network: a source waits until every other one had a turn. The default is
  /// 200 ms, which is 100 Hellos at ``assumedTime``.
  public var challenged: Duration = .milliseconds(200)
  // [DEC-53]
  /// The number of Hellos per second from one host that are read without a challenge. The default
  /// is 25.
  public var perSource = 25

  // [DEC-55]
  /// The assumed cost of a Hello until its work is measured: 2 ms, about that of a genuine one.
  public static let assumedTime: Duration = .milliseconds(2)
  /// The part of ``assumedTime`` for reading X3.
  static let assumedBodyTime: Duration = .microseconds(500)

  /// Creates the default budget.
  public init() {}
}
