// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Foundation
import ZSSP
public import ZSSPSimulator
import ZSSPSwiftCrypto

extension SimulationPlan.Mode: ExpressibleByArgument {}

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Run a network of peers in virtual time, with faults and attackers, and check invariants of the protocol.",
    discussion: """
      The seed decides everything: a failing seed fails again in the same step. Turbulence alternates with calm, in \
      which every pair must recover. Probabilities are for each datagram in turbulence.
      Exit codes: 0 all invariants held, 1 one was violated (it is printed, with the command that repeats it), 2 usage.
      """)

  enum Crypto: String, ExpressibleByArgument, CaseIterable {
    case real
    case standIn = "stand-in"
  }

  @Option(parsing: .unconditional, help: "Begin with this seed.")
  var seed: UInt64 = 1

  @Option(parsing: .unconditional, help: "Run this many consecutive seeds.")
  var seeds: UInt64 = 1

  @Option(parsing: .unconditional, help: "Simulate this many peers, 2 to 64.")
  var peers = 4

  @Option(
    parsing: .unconditional,
    help: "Make the first peer this many endpoints, 1 to 16, with one key and one store behind a load balancer.")
  var responders = 1

  @Option(
    parsing: .unconditional,
    help: "Give each endpoint this many shards: 1, 2, 4, 8 or 16. A first peer of several endpoints has none.")
  var shards = 1

  @Option(parsing: .unconditional, help: "Run each seed for this many virtual hours.")
  var hours = 3.0

  @Option(parsing: .unconditional, help: "Let turbulence last this many minutes before each calm.")
  var turbulence = SimulationPlan().turbulence / .seconds(60)

  @Option(parsing: .unconditional, help: "Let each calm last this many minutes, at least 5. Re-keys need more than 60.")
  var calm = SimulationPlan().calm / .seconds(60)

  @Option(help: "Use this mode: persistent, opportunistic or mixed.")
  var mode = SimulationPlan.Mode.mixed

  @Option(parsing: .unconditional, help: "Lose a datagram with this probability.")
  var loss = NetworkPlan().loss

  @Option(parsing: .unconditional, help: "Deliver a datagram twice with this probability.")
  var duplicate = NetworkPlan().duplication

  @Option(parsing: .unconditional, help: "Delay a datagram by seconds with this probability.")
  var reorder = NetworkPlan().reordering

  @Option(parsing: .unconditional, help: "Change a datagram with this probability.")
  var corrupt = NetworkPlan().corruption

  @Option(parsing: .unconditional, help: "Partition the network this many times an hour.")
  var partition = FaultPlan().partitionsPerHour

  @Option(parsing: .unconditional, help: "Crash each peer this many times an hour.")
  var crash = FaultPlan().crashesPerHour

  @Option(parsing: .unconditional, help: "Change the address of each peer this many times an hour.")
  var rebind = FaultPlan().rebindingsPerHour

  @Option(parsing: .unconditional, help: "Let a store request fail with this probability.")
  var storeFailure = FaultPlan().storeFailure

  @Option(parsing: .unconditional, help: "Attack this many times a second.")
  var attack = SimulationPlan().attacksPerSecond

  @Option(
    parsing: .unconditional,
    help: "Run this many campaigns an hour, which hold back, release, repeat and relay packets.")
  var campaigns = AdversaryPlan().campaignsPerHour

  @Option(parsing: .unconditional, help: "Run this many seeds at once, 1 to 256.")
  var jobs = 1

  @Flag(help: "Continue after a violation, and print one line for each. Default: off.")
  var keepGoing = false

  @Option(parsing: .unconditional, help: "Limit datagrams to this size in bytes, 128 to 65507.")
  var mtu = 1400

  @Option(help: "Use this cryptography: real, or stand-in (fast and not secure).")
  var crypto = Crypto.standIn

  @Option(parsing: .unconditional, help: "Show this many of the last steps before a violation.")
  var steps = 200

  @Option(
    help: ArgumentHelp(
      "Write a trace of one seed to this file, as JSON lines; Documentation/trace-viewer draws it. Default: none.",
      valueName: "file"))
  var trace: String?

  @Flag(help: "Print one JSON object per seed and line. Default: off.")
  var json = false

  func validate() throws {
    try OptionRange.check(peers, of: "--peers", in: 2...64)
    try OptionRange.check(responders, of: "--responders", in: 1...16)
    guard shards >= 1, shards <= 16, shards.nonzeroBitCount == 1 else {
      throw ValidationError("--shards \(shards): must be 1, 2, 4, 8 or 16")
    }
    try OptionRange.check(jobs, of: "--jobs", in: 1...256)
    try OptionRange.check(hours, of: "--hours", upTo: 100_000, unit: "hours")
    try OptionRange.check(turbulence, of: "--turbulence", upTo: 1e6, unit: "minutes")
    try OptionRange.check(calm, of: "--calm", in: 5...1e6, unit: "minutes")
    try OptionRange.check(steps, of: "--steps", in: 1...10_000_000)
    // Seeds end before the largest number.
    guard seeds > 0, !seed.addingReportingOverflow(seeds).overflow else {
      throw ValidationError("--seeds \(seeds): must be at least 1, and at most \(UInt64.max) with --seed together")
    }
    guard trace == nil || seeds == 1 else { throw ValidationError("--trace: needs --seeds 1, which is the default") }
    try OptionRange.check(mtu, of: "--mtu", in: Settings.smallestMTU...Settings.largestMTU, unit: "bytes")
    let probabilities = [
      ("--loss", loss), ("--duplicate", duplicate), ("--reorder", reorder), ("--corrupt", corrupt),
      ("--store-failure", storeFailure),
    ]
    for (name, value) in probabilities { try OptionRange.check(value, of: name, in: 0...1) }
    for (name, value) in [
      ("--partition", partition), ("--crash", crash), ("--rebind", rebind), ("--attack", attack),
      ("--campaigns", campaigns),
    ] {
      try OptionRange.check(value, of: name, in: 0...100_000)
    }
  }

  private var plan: SimulationPlan {
    var plan = SimulationPlan()
    plan.mode = mode
    plan.peers = peers
    plan.duration = .seconds(hours * 3600)
    plan.responders = responders
    plan.shards = shards
    plan.adversary.campaignsPerHour = campaigns
    plan.turbulence = .seconds(turbulence * 60)
    plan.calm = .seconds(calm * 60)
    plan.network.loss = loss
    plan.network.duplication = duplicate
    plan.network.reordering = reorder
    plan.network.corruption = corrupt
    plan.faults.partitionsPerHour = partition
    plan.faults.crashesPerHour = crash
    plan.faults.rebindingsPerHour = rebind
    plan.faults.storeFailure = storeFailure
    plan.attacksPerSecond = attack
    plan.settings.mtu = mtu
    return plan
  }

  func run() async throws {
    let start = ContinuousClock.now
    let isReal = crypto == .real
    let makeProvider: @Sendable () -> any CryptoProvider = { isReal ? SwiftCryptoProvider() : StandInCrypto() }
    let file = try trace.map { path throws(CommandFailure) in
      try TraceOption.file(
        path, title: "zssp simulate --seed \(seed)", source: "simulation", lanes: (0..<peers).map { "\($0)" })
    }
    let onTrace: (@Sendable (String) -> Void)? = if let file { { line in file.write(line) } } else { nil }
    let batch = SimulationBatch(
      plan, seeds: seed..<seed + seeds, trace: steps, onTrace: onTrace, makeProvider: makeProvider)
    var total: SimulationReport?
    var failures: [UInt64] = []
    try await batch.run(jobs: jobs) { seed, outcome in
      switch outcome {
      case .success(let report):
        if json { try Terminal.output(json: report) }
        total = total.map { $0 + report } ?? report
        return true
      case .failure(let violation):
        if json {
          try Terminal.output(json: ViolationReport(violation))
        } else {
          Terminal.output(keepGoing ? violation.summary : violation.description)
        }
        failures.append(seed)
        return keepGoing
      }
    }
    await file?.flush()
    if let total, !json {
      summarize(total, failures: failures.count, seconds: (ContinuousClock.now - start) / .seconds(1))
    }
    guard let first = failures.first else { return }
    let which = failures.count == 1 ? "seed \(first) failed" : "\(failures.count) seeds failed, first \(first)"
    throw CommandFailure.failed("\(which); to see it again:\n  \(command(first))")
  }

  /// A violation as a line of JSON.
  private struct ViolationReport: Encodable {
    let violated: String
    let details: String
    let seed: UInt64
    let time: Double
    let step: UInt64
    let trace: [String]

    init(_ violation: Violation) {
      violated = violation.invariant.rawValue
      details = violation.details
      seed = violation.seed
      time = violation.time
      step = violation.step
      trace = violation.trace
    }
  }

  /// Returns the command line for one seed, with all options that differ from the defaults.
  private func command(_ seed: UInt64) -> String {
    let standard = SimulationPlan()
    var words = "zssp simulate --seed \(seed) --peers \(peers) --hours \(hours) --mode \(mode.rawValue)"
    let options: [(String, Double, Double)] = [
      ("--turbulence", turbulence, standard.turbulence / .seconds(60)),
      ("--calm", calm, standard.calm / .seconds(60)),
      ("--loss", loss, standard.network.loss), ("--duplicate", duplicate, standard.network.duplication),
      ("--reorder", reorder, standard.network.reordering), ("--corrupt", corrupt, standard.network.corruption),
      ("--partition", partition, standard.faults.partitionsPerHour),
      ("--crash", crash, standard.faults.crashesPerHour), ("--rebind", rebind, standard.faults.rebindingsPerHour),
      ("--store-failure", storeFailure, standard.faults.storeFailure), ("--attack", attack, standard.attacksPerSecond),
    ]
    for (name, value, usual) in options where value != usual { words += " \(name) \(value)" }
    if campaigns != standard.adversary.campaignsPerHour { words += " --campaigns \(campaigns)" }
    if shards != 1 { words += " --shards \(shards)" }
    if responders != 1 { words += " --responders \(responders)" }
    if mtu != standard.settings.mtu { words += " --mtu \(mtu)" }
    return words + " --crypto \(crypto.rawValue)"
  }

  private func summarize(_ report: SimulationReport, failures: Int, seconds: Double) {
    let hours = report.virtualSeconds / 3600
    let promises = failures == 0 ? "all promises held" : "\(failures) seeds failed, which are not counted below"
    Terminal.output(
      String(format: "%llu seeds, %.1f virtual hours in %.1f s, ", seeds, hours, seconds) + promises)
    Terminal.output(
      "  datagrams   \(report.datagramsSent) sent, \(report.datagramsLost) lost, \(report.datagramsDuplicated) twice, "
        + "\(report.attacks) of attackers")
    Terminal.output(
      "  adversary   \(report.campaigns) campaigns, \(report.heldBack) datagrams held back; \(report.attemptsLimited) attempts "
        + "at their time limits, \(report.cancelledAccepts) accepts cancelled")
    Terminal.output("  messages    \(report.messagesSent) sent, \(report.messagesReceived) received")
    Terminal.output(
      "  sessions    \(report.handshakes) established, \(report.rekeys) re-keys, \(report.restarts) restarted, "
        + "\(report.downgrades) downgrades, \(report.moves) moves, \(report.probesAnswered) probes answered")
    Terminal.output(
      "  faults      \(report.crashes) crashes, \(report.storesLost) stores lost, \(report.storeFailures) store "
        + "failures, \(report.partitions) partitions, \(report.rebindings) rebindings, \(report.clockLeaps) clock leaps"
    )
    Terminal.output(
      String(
        format: "  recoveries  %llu, the longest in %.1f s; %llu sessions opened anew after moves of both ends",
        report.recoveries, report.longestRecovery, report.reopenedAfterMoves))
    Terminal.output("  ends        \(list(report.ends))")
    Terminal.output("  drops       \(list(report.drops))")
  }

  private func list(_ counts: [String: UInt64]) -> String {
    counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
  }
}
