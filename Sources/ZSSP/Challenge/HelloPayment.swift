// SPDX-License-Identifier: Apache-2.0

/// Charges the public-key work of one handshake to the budget that its Hello was admitted under.
///
/// A Hello pays ``HelloBudget/assumedTime`` for reading X1, writing X2 and reading one X3, before
/// the real times are known. After reading X1 was measured, the same time is reserved for X3; it is
/// refunded if no X3 arrives. ``HelloGate`` admits each further X3, which is paid when its work
/// begins: its sender chooses the moment, and can hold many handshakes until then.
struct HelloPayment: Sendable {
  /// The budget that is charged.
  let allowance: HelloGate.Allowance

  /// The time paid for work on X1 and X2 that was not measured yet.
  private var prepaid = HelloBudget.assumedTime - HelloBudget.assumedBodyTime
  /// The time reserved for the first X3; nil after it was read.
  private var reserve: Duration? = HelloBudget.assumedBodyTime
  /// The time paid for the X3 that is being read.
  private var body: Body?
  /// The expected time of an X3: the time that X1 took.
  private var bodyTime: Duration?

  private struct Body {
    let paid: Duration
    let isFirst: Bool
  }

  init(_ allowance: HelloGate.Allowance) { self.allowance = allowance }

  /// Settles the work on X1 or X2, which took `time`.
  mutating func settleHello(took time: Duration, _ gate: inout HelloGate, at now: Instant) {
    var due = time - prepaid
    prepaid = .zero
    if bodyTime == nil, let reserve {
      due += time - reserve
      self.reserve = time
      bodyTime = time
    }
    gate.charge(due, to: allowance, at: now)
  }

  /// Pays for reading an X3.
  ///
  /// - Returns: true if there is time for it.
  // [DEC-78]
  mutating func payBody(_ gate: inout HelloGate, at now: Instant) -> Bool {
    if let reserve = reserve.take() {
      body = Body(paid: reserve, isFirst: true)
      return true
    }
    let time = bodyTime ?? HelloBudget.assumedBodyTime
    guard gate.takeBody(time, from: allowance, at: now) else { return false }
    body = Body(paid: time, isFirst: false)
    return true
  }

  /// Settles the work on an X3, which took `time`; nil if the time is not known.
  mutating func settleBody(took time: Duration?, _ gate: inout HelloGate, at now: Instant) {
    guard let body = body.take(), let time else { return }
    gate.charge(time - body.paid, to: allowance, isBody: !body.isFirst, at: now)
  }

  /// Reverses the payment for an X3 that will not be read.
  mutating func cancelBody(_ gate: inout HelloGate) {
    guard let body = body.take() else { return }
    if body.isFirst { reserve = body.paid } else { gate.refund(body.paid, to: allowance, isBody: true) }
  }

  /// Refunds the time reserved for an X3, if X1 was measured.
  mutating func end(_ gate: inout HelloGate) {
    guard bodyTime != nil, let reserve = reserve.take() else { return }
    gate.refund(reserve, to: allowance)
  }
}
