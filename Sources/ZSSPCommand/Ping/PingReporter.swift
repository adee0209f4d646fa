// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import ZSSP
import ZSSPNIO

/// A line of `zssp ping --json`. Fields that do not apply are omitted.
struct PingReport: Encodable, Sendable {
  /// A report of the network, or of this host.
  struct Network: Encodable, Sendable {
    var kind: String
    var text: String
    /// The sender of the report.
    var from: String?
    var mtu: Int?

    init(_ report: NetworkReport) {
      kind = report.kind.rawValue
      text = report.text
      from = report.reporter.map(PingReporter.host)
      mtu = report.mtu
    }
  }

  /// The kind of step: name, route, hello, pathMTU, hostAnswers, session, cause, probe, summary.
  var event: String
  /// The name of the tunnel's peer, for `zssp tunnel check --probe`.
  var peer: String?
  var addresses: [String]?
  var address: String?
  var local: String?
  var interface: String?
  var mtu: Int?
  /// The kind of a `hello`: asConfigured, otherProfile, withoutRatchet or smallDatagrams.
  var purpose: String?
  var profile: String?
  var offersRatchet: Bool?
  var usedRatchet: Bool?
  /// Sizes of datagrams in bytes of UDP payload.
  var sent: [Int]?
  var received: [Int]?
  var hellos: Int?
  var challenges: Int?
  var notAuthentic: Int?
  var answered: Bool?
  var reports: [Network]?
  /// The outcome of a `session`: accepted, refused, notConfirmed, ratchetConflict or noAnswer; or skipped.
  var outcome: String?
  var chainLength: UInt64?
  var milliseconds: Double?
  var number: Int?
  var lossPercent: Double?
  var minimum: Double?
  var median: Double?
  var percentile99: Double?
  /// The cause of a `cause`, by its stable name.
  var kind: String?
  var certainty: String?
  var text: String?
  var remedy: String?

  init(_ event: String) { self.event = event }
}

/// Reports the steps of a probe: as text, or with `json` as JSON lines, on standard output.
struct PingReporter: Sendable {
  let json: Bool
  /// The name of the peer in reports of several.
  var peer: String?

  private func report(_ report: PingReport, text: @autoclosure () -> String) {
    guard json else { return Terminal.output(text()) }
    var report = report
    report.peer = peer
    do { try Terminal.output(json: report) } catch { Terminal.error("cannot encode an event: \(error)") }
  }

  private static func line(_ label: String, _ text: String) -> String {
    label.padding(toLength: 9, withPad: " ", startingAt: 0) + text
  }

  static func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }
  static func text(_ duration: Duration) -> String { String(format: "%.2f ms", milliseconds(duration)) }

  /// Returns an address without its port.
  static func host(_ address: Address) -> String { SocketAddress(address).ipAddress ?? "\(address)" }

  /// Returns a number with its noun.
  private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  func resolved(_ target: String, _ addresses: [SocketAddress]) {
    var report = PingReport("name")
    report.addresses = addresses.map(\.text)
    let names = addresses.map(\.text).joined(separator: ", ")
    self.report(report, text: Self.line("name", names == target ? names : "\(target) is \(names)"))
  }

  func notResolved(_ target: String, _ error: UDPError) {
    var report = PingReport("name")
    report.text = "\(error)"
    self.report(report, text: Self.line("name", "\(error)"))
  }

  func step(_ step: PeerProbe.Step) {
    switch step {
    case .route(let route): self.route(route)
    case .noRoute(let address, let failure):
      var report = PingReport("route")
      report.address = "\(address)"
      report.reports = [PingReport.Network(failure.report)]
      self.report(report, text: Self.line("route", "none to \(address): \(failure)"))
    case .observed(let observation): hello(observation)
    case .pathMTU(let mtu):
      var report = PingReport("pathMTU")
      report.mtu = mtu
      self.report(report, text: Self.line("path", "the network reports that packets may have \(mtu) bytes at most"))
    case .hostAnswers(let answers):
      var report = PingReport("hostAnswers")
      report.answered = answers
      self.report(
        report,
        text: Self.line(
          "host",
          answers
            ? "it is up: it reports that another port is closed, and says nothing of this one"
            : "it says nothing of another port either: it is down, or a firewall drops"))
    }
  }

  private func route(_ route: PeerProbe.Route) {
    var report = PingReport("route")
    report.address = "\(route.remote)"
    report.local = route.local.map { "\($0)" }
    report.interface = route.interface
    report.mtu = route.mtu
    var text = "\(route.remote)"
    if let local = route.local { text += " from \(local)" }
    if let interface = route.interface { text += " by \(interface)" }
    if let mtu = route.mtu { text += ", MTU \(mtu)" }
    self.report(report, text: Self.line("route", text))
  }

  private func hello(_ seen: ProbeObservation) {
    var report = PingReport("hello")
    report.purpose = seen.purpose.rawValue
    report.profile = seen.profile.rawValue
    report.offersRatchet = seen.offersRatchet
    report.sent = seen.sent
    report.received = seen.fragments
    report.hellos = seen.hellos
    report.challenges = seen.challenges
    report.notAuthentic = seen.forged
    report.answered = seen.answer != nil
    report.usedRatchet = seen.answer.map(\.usedRatchet)
    report.milliseconds = seen.answer?.roundTrip.map(Self.milliseconds)
    report.reports = seen.reports.map(PingReport.Network.init)
    self.report(report, text: Self.lines(seen).joined(separator: "\n"))
  }

  /// Returns a sentence about the challenges that came.
  static func challenges(_ seen: ProbeObservation) -> String {
    guard seen.challenges > 1 else { return "1 challenge came, and was \(seen.solved > 0 ? "" : "not ")answered" }
    let answered = seen.solved == 0 ? "none" : "\(seen.solved)"
    return "\(seen.challenges) challenges came, \(answered) of them \(seen.solved == 1 ? "was" : "were") answered"
  }

  private static func lines(_ seen: ProbeObservation) -> [String] {
    let way =
      switch seen.purpose {
      case .asConfigured: ""
      case .otherProfile: ", with the other profile"
      case .withoutRatchet: ", without the ratchet"
      case .smallDatagrams: ", in small datagrams"
      }
    let times = seen.hellos == 1 ? "once" : "\(seen.hellos) times"
    let sizes = seen.sent.map(String.init).joined(separator: " + ")
    var lines = [
      line(
        "Hello",
        "sent \(times)\(way): \(sizes) bytes, profile \(seen.profile.rawValue), "
          + (seen.offersRatchet ? "with a ratchet" : "without a ratchet"))
    ]
    if seen.challenges > 0 {
      lines.append(line("", challenges(seen)))
    }
    for report in seen.reports {
      let sender = report.reporter.map { "\(host($0)) reports" } ?? "this host reports"
      let limit = report.mtu.map { ", the limit is \($0) bytes" } ?? ""
      lines.append(line("", "\(sender): \(report.text)\(limit)"))
    }
    if let answer = seen.answer {
      let time = answer.roundTrip.map { " after \(text($0))" } ?? ""
      let ratchet = seen.offersRatchet ? (answer.usedRatchet ? ", with the ratchet" : ", WITHOUT the ratchet") : ""
      lines.append(line("answer", "X2 is authentic\(time)\(ratchet): the peer has proved its key"))
    } else if seen.forged > 0 {
      let sentence = seen.forged == 1 ? "1 X2 came, and is not" : "\(seen.forged) X2 came, and none is"
      lines.append(line("answer", "\(sentence) authentic"))
    } else if !seen.fragments.isEmpty {
      lines.append(line("answer", "only \(counted(seen.fragments.count, "datagram")) of X2 came, not all"))
    } else {
      lines.append(line("answer", seen.challenges > 0 ? "none but the challenges" : "none"))
    }
    return lines
  }

  func session(
    _ outcome: Diagnosis.SessionOutcome, error: UDPError?, after time: Duration, chainLength: UInt64?
  ) {
    var report = PingReport("session")
    report.outcome = outcome.rawValue
    report.milliseconds = Self.milliseconds(time)
    report.chainLength = chainLength
    report.text = error.map { "\($0)" }
    let text = error.map { "\($0)" } ?? "accepted in \(Self.text(time))"
    self.report(report, text: Self.line("session", text))
  }

  func sessionSkipped(_ reason: String) {
    var report = PingReport("session")
    report.outcome = "skipped"
    report.text = reason
    self.report(report, text: Self.line("session", "not tried: \(reason)"))
  }

  func diagnosis(_ diagnosis: Diagnosis) {
    for (index, cause) in diagnosis.causes.enumerated() {
      var report = PingReport("cause")
      report.number = index + 1
      report.kind = cause.kind.rawValue
      report.certainty = cause.certainty.rawValue
      report.text = cause.text
      // Reports with a name are those of `zssp tunnel check`.
      let remedy = peer == nil ? cause.remedy : cause.tunnelRemedy
      report.remedy = remedy
      let certainty = cause.certainty == .certain ? "" : " (\(cause.certainty.rawValue))"
      self.report(
        report, text: Self.line("cause \(index + 1)", "\(cause.text)\(certainty)\n         -> \(remedy)"))
    }
  }

  /// - Parameters:
  ///   - number: The number of the probe, from 1.
  ///   - isAnswered: True if an answer came.
  ///   - time: The round trip; nil if it is unknown.
  func probe(_ number: Int, isAnswered: Bool, after time: Duration?) {
    var report = PingReport("probe")
    report.number = number
    report.answered = isAnswered
    report.milliseconds = time.map(Self.milliseconds)
    let text = isAnswered ? time.map(Self.text) ?? "answered late" : "no answer"
    self.report(report, text: Self.line("probe \(number)", text))
  }

  func summary(_ summary: PingSummary) {
    var report = PingReport("summary")
    report.number = summary.sent
    report.lossPercent = summary.lossPercent
    report.minimum = summary.minimum.map(Self.milliseconds)
    report.median = summary.median.map(Self.milliseconds)
    report.percentile99 = summary.percentile99.map(Self.milliseconds)
    var text = "\(Self.counted(summary.sent, "probe")), \(summary.answered) answered, "
    text += String(format: "%.1f %% lost", summary.lossPercent)
    if let minimum = summary.minimum, let median = summary.median, let last = summary.percentile99 {
      text += "; round trip min \(Self.text(minimum)), median \(Self.text(median)), p99 \(Self.text(last))"
    }
    self.report(report, text: text)
  }
}

/// The numbers of several probes.
struct PingSummary: Sendable, Equatable {
  var sent = 0
  var answered = 0
  /// The known round trips.
  var roundTrips: [Duration] = []

  var lossPercent: Double { sent == 0 ? 0 : Double(sent - answered) * 100 / Double(sent) }
  var minimum: Duration? { roundTrips.min() }
  var median: Duration? { quantile(0.5) }
  var percentile99: Duration? { quantile(0.99) }

  /// Returns the smallest round trip that this share of all does not exceed.
  private func quantile(_ share: Double) -> Duration? {
    guard !roundTrips.isEmpty else { return nil }
    let sorted = roundTrips.sorted()
    return sorted[max(0, min(sorted.count - 1, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
  }
}
