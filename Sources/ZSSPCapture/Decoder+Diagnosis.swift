// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension Decoder {
  /// Adds a trouble with the addresses of a datagram.
  mutating func report(_ kind: Trouble.Kind, in event: borrowing DatagramEvent, text: @autoclosure () -> String) {
    troubleList.add(
      kind, from: event.source, to: event.destination, frame: event.frame, at: event.time, text: text())
  }

  // MARK: Hellos

  /// Changes the record of the Hellos from one side of a datagram's flow.
  private mutating func withHellos<Result>(
    _ event: borrowing DatagramEvent, fromSender: Bool, body: (inout HelloRecord) -> Result
  ) -> Result {
    event.fromFirst == fromSender ? body(&flows[event.flow].hellos.0) : body(&flows[event.flow].hellos.1)
  }

  /// Records a fragment of a Hello. `content` is there with the last one.
  mutating func noteHello(
    _ event: borrowing DatagramEvent, header: FragmentHeader, content: (keyID: KeyID, isAnswer: Bool)?
  ) {
    let isFirst = header.number == 0
    let frame = event.frame
    let time = event.time
    withHellos(event, fromSender: true) { record in
      if record.counter != header.counter {
        record.counter = header.counter
        record.attempts += 1
        record.answersChallenge = false
        record.challengesAgain = 0
      }
      if isFirst {
        if record.unanswered == 0 {
          record.firstFrame = frame
          record.firstTime = time
        }
        record.unanswered += 1
        record.lastTime = time
      }
      if let content {
        record.keyID = content.keyID
        record.answersChallenge = content.isAnswer
      }
    }
    if let content { pendingHellos.add(content.keyID, from: event.source, to: event.destination) }
    let attempts = withHellos(event, fromSender: true) { $0.attempts }
    let wasAnswered = withHellos(event, fromSender: true) { $0.wasAnswered }
    if isFirst, attempts >= 3, wasAnswered {
      withHellos(event, fromSender: true) { $0.attempts = 0 }
      report(
        .unfinishedHandshake, in: event, text: "handshakes are answered and begin anew: \(attempts) different Hellos")
    }
  }

  mutating func noteChallenge(_ event: borrowing DatagramEvent, for keyID: KeyID) {
    noteAnswer(event, keyID: keyID)
    let again = withHellos(event, fromSender: false) { record -> Int in
      guard record.answersChallenge else { return 0 }
      record.challengesAgain += 1
      return record.challengesAgain
    }
    if again >= 2 {
      report(.challengeLoop, in: event, text: "Hellos that answer a challenge are challenged again")
    }
  }

  /// Records a datagram that may answer a Hello of its receiver.
  private mutating func noteAnswer(_ event: borrowing DatagramEvent, keyID: KeyID) {
    let expected = withHellos(event, fromSender: false) { record -> Bool in
      guard record.counter != nil else { return false }
      record.unanswered = 0
      record.wasAnswered = true
      return true
    }
    guard !expected, let asked = pendingHellos.asked(keyID, by: event.destination), asked != event.source else {
      return
    }
    report(.answerFromElsewhere, in: event, text: "\(event.source) answers a Hello that went to \(asked)")
    // The Hello was answered, if not from where it should be.
    if let place = flows.find(event.destination, to: asked) {
      if flows[place].first == event.destination {
        flows[place].hellos.0.unanswered = 0
      } else {
        flows[place].hellos.1.unanswered = 0
      }
    }
  }

  // MARK: Other packets

  mutating func noteProtected(_ event: borrowing DatagramEvent, isRepeated: Bool) {
    noteAnswer(event, keyID: event.keyID)
    // A packet of the responder after X2 shows that the handshake was completed.
    let isResponse =
      event.kind == .opened ? event.header?.type == PacketType.response.rawValue : mayBeResponse(event)
    if !isResponse { withHellos(event, fromSender: false) { $0.attempts = 0 } }
    if isRepeated, event.content != .replay {
      report(.repeated, in: event, text: "datagrams came more than once")
    }
  }

  /// Returns true if a datagram has the key id of its receiver's Hello, and the size of X2 or of
  /// one of its fragments.
  private func mayBeResponse(_ event: borrowing DatagramEvent) -> Bool {
    let record = event.fromFirst ? flows[event.flow].hellos.1 : flows[event.flow].hellos.0
    guard record.keyID != .none, record.keyID == event.keyID else { return false }
    for count in 1...4 {
      let plan = FragmentPlan(size: PacketSize.response, count: count)
      let payload = event.size - FragmentHeader.size
      if payload == plan.base || payload == plan.base + 1 { return true }
    }
    return false
  }

  /// Returns what a protected datagram may be.
  func guess(_ event: borrowing DatagramEvent) -> StaticString? {
    if mayBeResponse(event) { return "X2 Response?" }
    switch event.size - FragmentHeader.size {
    case PacketSize.tag: return "C1, C2, D or empty data"
    case PacketSize.rekey: return "K1, K2 or data"
    default: return nil
    }
  }

  mutating func noteControl(_ event: borrowing DatagramEvent, header: FragmentHeader) {
    func change(fromSender: Bool, body: (inout RekeyRecord) -> Void) {
      if event.fromFirst == fromSender { body(&flows[event.flow].rekeys.0) } else { body(&flows[event.flow].rekeys.1) }
    }
    switch PacketType(rawValue: header.type) {
    case .rekeyInit:
      change(fromSender: true) { $0.initsInARow += 1 }
      change(fromSender: true) { $0.completesInARow = 0 }
    case .rekeyComplete:
      change(fromSender: false) { $0.initsInARow = 0 }
      change(fromSender: true) { $0.completesInARow += 1 }
    case .keyConfirm: change(fromSender: false) { $0.completesInARow = 0 }
    case .rejected:
      report(
        .rejected, in: event,
        text: header.counter == 0 ? "the responder refuses the initiator (D)" : "the peer closes the session (D)")
    default: break
    }
    let record = event.fromFirst ? flows[event.flow].rekeys.0 : flows[event.flow].rekeys.1
    if record.initsInARow >= 3 { report(.rekeyFails, in: event, text: "K1 is repeated, and no K2 comes") }
    if record.completesInARow >= 3 { report(.rekeyFails, in: event, text: "K2 is repeated, and no C1 comes") }
  }

  /// Compares the size of a datagram with what ICMP said of the path.
  mutating func noteSize(of event: borrowing DatagramEvent) {
    guard let mtu = flows[event.flow].pathMTU, event.packetSize > mtu else { return }
    let size = event.packetSize
    report(.sentTooBig, in: event, text: "IP packets of \(size) bytes were sent after ICMP had asked for \(mtu)")
  }

  mutating func note(_ error: ICMPError, in event: borrowing DatagramEvent) {
    let kind: Trouble.Kind
    let text: String
    switch error.problem {
    case .tooBig(let mtu):
      kind = .tooBig
      text = "\(event.source.host) says that IP packets may have \(mtu) bytes at most"
      if mtu >= 68 { flows[event.flow].pathMTU = min(mtu, flows[event.flow].pathMTU ?? .max) }
    case .portUnreachable:
      kind = .portUnreachable
      text = "\(event.source.host) says that nothing listens there"
    case .prohibited:
      kind = .prohibited
      text = "\(event.source.host) says that a firewall refuses the datagrams"
    case .unreachable:
      kind = .unreachable
      text = "\(event.source.host) says that it does not reach the host"
    }
    troubleList.add(
      kind, from: error.source, to: error.destination, frame: event.frame, at: event.time, text: text)
  }

  mutating func note(_ abandoned: FragmentStore.Abandoned) {
    let key = abandoned.key
    let missing = abandoned.missing.prefix(8).map { "\($0 + 1)" }.joined(separator: ", ")
    let name = PacketType(rawValue: key.type).map { "\($0.name)" } ?? "type \(key.type)"
    let more = abandoned.missing.count > 8 ? ", …" : ""
    troubleList.add(
      .missingFragment, from: key.source, to: key.destination, frame: abandoned.frame, at: abandoned.time,
      text: "\(name): of \(abandoned.count) fragments \(missing)\(more) never came")
  }

  /// Reports what is unfinished in a flow that ends.
  mutating func finish(_ flow: Flow) {
    for isFirst in [true, false] {
      let record = isFirst ? flow.hellos.0 : flow.hellos.1
      guard record.unanswered >= 2 else { continue }
      let seconds = Double(record.lastTime &- record.firstTime) / 1e9
      let times = "\(record.unanswered) times in \((seconds * 10).rounded() / 10) s"
      troubleList.add(
        .unansweredHello, from: isFirst ? flow.first : flow.second, to: isFirst ? flow.second : flow.first,
        frame: record.firstFrame, at: record.firstTime, until: record.lastTime,
        text: "a Hello was sent \(times), and "
          + (record.wasAnswered ? "nothing came back any more" : "nothing ever came back"))
    }
  }
}

extension Address {
  /// The address without the port.
  var host: String {
    switch family {
    case .ipv4: String("\(self)".prefix { $0 != ":" })
    case .ipv6: String("\(self)".dropFirst().prefix { $0 != "]" })
    }
  }
}
