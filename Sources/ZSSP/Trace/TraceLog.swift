// SPDX-License-Identifier: Apache-2.0

/// The records that a driver has not taken yet. It exists only while an endpoint is traced.
final class TraceLog {
  private var records: [TraceRecord] = []
  private var omitted = 0
  /// The state of each owner in its last record.
  private var states: [TraceRecord.Owner: String] = [:]
  /// The numbers of half-open handshakes.
  private var numbers: [ObjectIdentifier: Int] = [:]
  private var lastNumber = 0
  private var counted = Statistics()
  private var countedAt = Instant(nanoseconds: .min)
  /// The time of the last input.
  private var now = Instant(nanoseconds: 0)

  /// The largest number of records that wait.
  private static let limit = 1 << 16
  /// The time between two records of counts.
  private static let countInterval = Duration.seconds(1)

  func add(_ event: TraceRecord.Event, of owner: TraceRecord.Owner = .endpoint, at time: Instant? = nil) {
    if let time { advance(to: time) }
    guard records.count < Self.limit else {
      omitted += 1
      return
    }
    records.append(TraceRecord(time: now, owner: owner, event: event))
  }

  private func advance(to time: Instant) {
    // Some inputs have no time, or one that never comes.
    if time < .distantFuture { now = time }
  }

  /// Removes and returns the records.
  func take(_ statistics: Statistics) -> [TraceRecord] {
    addCounts(statistics)
    if omitted > 0 {
      records.append(TraceRecord(time: now, owner: .endpoint, event: .omitted(omitted)))
      omitted = 0
    }
    defer { records.removeAll(keepingCapacity: true) }
    return records
  }

  private func addCounts(_ new: Statistics) {
    let next = countedAt.advanced(by: Self.countInterval)
    guard now >= next || countedAt.nanoseconds == .min, new != counted else { return }
    let old = counted
    counted = new
    countedAt = now
    if new.messagesReceived != old.messagesReceived || new.messagesSent != old.messagesSent {
      add(
        .traffic(
          datagramsIn: new.datagramsReceived - old.datagramsReceived,
          datagramsOut: new.datagramsSent - old.datagramsSent,
          messagesIn: new.messagesReceived - old.messagesReceived, messagesOut: new.messagesSent - old.messagesSent))
    }
    for reason in DropReason.allCases where new[reason] > old[reason] { add(.drops(reason, new[reason] - old[reason])) }
  }

  // MARK: Owners

  func owner(_ handshake: HalfOpenHandshake) -> TraceRecord.Owner {
    let name = ObjectIdentifier(handshake)
    if let number = numbers[name] { return .halfOpen(number) }
    lastNumber += 1
    numbers[name] = lastNumber
    return .halfOpen(lastNumber)
  }

  func owner(_ owner: Owner?) -> TraceRecord.Owner {
    switch owner {
    case .session(let session): .session(session.id)
    case .halfOpen(let handshake): self.owner(handshake)
    case nil: .endpoint
    }
  }

  // MARK: States

  /// Adds a record if the session has entered a state.
  func noteState(_ session: Session, at time: Instant) {
    advance(to: time)
    let deadlines = session.stateDeadlines
    enter(session.stateName, .session(session.id), ends: deadlines.end, resends: deadlines.resend)
  }

  /// Adds a record if the handshake has entered a state.
  func noteState(_ handshake: HalfOpenHandshake, at time: Instant) {
    advance(to: time)
    enter(handshake.stateName, owner(handshake), ends: handshake.expiry, resends: .distantFuture)
  }

  private func enter(_ state: String, _ owner: TraceRecord.Owner, ends: Instant, resends: Instant) {
    let before = states[owner]
    guard before != state else { return }
    states[owner] = state
    func left(_ time: Instant) -> Duration? { time < .distantFuture ? now.duration(to: time) : nil }
    add(.state(state, from: before, ends: left(ends), resends: left(resends)), of: owner)
  }

  func ended(_ session: Session) {
    let owner = TraceRecord.Owner.session(session.id)
    add(.state("ended", from: states.removeValue(forKey: owner), ends: nil, resends: nil), of: owner)
  }

  func ended(_ handshake: HalfOpenHandshake, as state: String) {
    let owner = owner(handshake)
    add(.state(state, from: states.removeValue(forKey: owner), ends: nil, resends: nil), of: owner)
    numbers[ObjectIdentifier(handshake)] = nil
  }

  // MARK: Actions and timers

  /// Adds records of what a session's machine wants.
  func add(_ action: Action, of session: Session) {
    let owner = TraceRecord.Owner.session(session.id)
    switch action {
    case .drop(let reason): add(.dropped(nil, reason), of: owner)
    case .emit(let event): add(.event(event.traceName, details: event.traceDetails), of: owner)
    case .establish(let establishment, _):
      let length = establishment.chainLength
      add(.event("established", details: "\(establishment.role), chain length \(length)"), of: owner)
    // Recorded where they are executed, with what is known there.
    case .send, .ask, .work, .stopWaiting, .release, .releaseAll, .forgetIncomplete, .move, .end: break
    }
  }

  /// Adds records of what a half-open handshake wants.
  func add(_ step: HalfOpenHandshake.Step, of handshake: HalfOpenHandshake) {
    let owner = owner(handshake)
    switch step {
    case .drop(let reason): add(.dropped(nil, reason), of: owner)
    case .withdraw(_, let reason): add(.event("withdrawn", details: "\(reason)"), of: owner)
    // Recorded where they are executed, with what is known there.
    case .send, .ask, .work, .askApplication, .waitForRoom, .revoke, .forgetIncomplete, .establish, .forget: break
    }
  }

  func add(_ request: StoreRequest, _ id: RequestID, of owner: Owner) {
    add(.storeRequest(id, request.traceName), of: self.owner(owner))
  }

  /// Adds a record of the deadline of a session that is due.
  func noteTimer(_ session: Session, at time: Instant) {
    let deadlines = session.stateDeadlines
    let name =
      if deadlines.end <= time {
        session.stateName == "S2" ? "rekey" : "timeout"
      } else if deadlines.resend <= time {
        "resend"
      } else if session.core.liveness.deadline <= time {
        "liveness"
      } else if session.core.keys.previousDeadline <= time {
        "previousKey"
      } else {
        "other"
      }
    add(.timer(name), of: .session(session.id), at: time)
  }
}

extension StoreRequest {
  /// The kind of request.
  fileprivate var traceName: String {
    switch self {
    case .lookUp: "lookUp"
    case .load: "load"
    case .compareAndSwap: "swap"
    case .revoke: "revoke"
    }
  }
}

extension StoreAnswer {
  /// The kind of answer.
  var traceName: String {
    switch self {
    case .found: "found"
    case .unknown: "unknown"
    case .pair: "pair"
    case .swapped: "swapped"
    case .notSwapped: "notSwapped"
    case .failed: "failed"
    }
  }
}

extension AcceptDecision {
  /// The kind of decision.
  var traceName: String {
    switch self {
    case .accept: "accept"
    case .reject(let silently): silently ? "reject silently" : "reject"
    }
  }
}

extension Event {
  fileprivate var traceName: String {
    switch self {
    case .established: "established"
    case .confirmed: "confirmed"
    case .restarted: "restarted"
    case .downgraded: "downgraded"
    case .rekeyed: "rekeyed"
    case .answered: "answered"
    case .moved: "moved"
    case .ended: "ended"
    case .withdrawn: "withdrawn"
    }
  }

  fileprivate var traceDetails: String? {
    switch self {
    case .established, .confirmed: nil
    case .restarted(_, let reason): reason.rawValue
    case .downgraded(_, _, let length): "held chain length \(length)"
    case .rekeyed(_, let length): "chain length \(length)"
    case .answered(_, let time): time.map { "\($0.nanoseconds / 1000) us" }
    case .moved(_, _, let address): "\(address)"
    case .ended(_, let reason): reason.rawValue
    case .withdrawn(_, let reason): "\(reason)"
    }
  }
}
