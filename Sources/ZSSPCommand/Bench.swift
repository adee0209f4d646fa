// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPBenchmark

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure each part of this build beside what bounds it.",
    discussion: """
      Each figure is the median of several rounds. Its bound (the cipher alone, the public-key operations alone) is \
      measured in the same rounds; the ratio says how much of it is reached. Compare figures of one machine, built in \
      release.
      """)

  /// A benchmark.
  enum Subject: String, ExpressibleByArgument, CaseIterable {
    case crypto, path, handshake, challenge, sessions, idle, shards, udp, flood, store, storm, all
  }

  @Argument(
    help:
      "Run this benchmark: crypto, path, handshake, challenge, sessions, idle, shards, udp, flood, store, storm or all."
  )
  var subject = Subject.all

  @Option(parsing: .unconditional, help: "Measure each figure this many times, 1 to 1000.")
  var rounds = BenchmarkEffort().rounds

  @Option(parsing: .unconditional, help: "Measure for at least this many milliseconds, 1 to 600000.")
  var milliseconds = 200

  @Option(
    parsing: .unconditional,
    help: "Make this many sessions in 'sessions' and 'idle', 128 to 10000000; each takes a handshake.")
  var sessions = 10_000

  @Option(parsing: .unconditional, help: "Let this many peers come back at once in 'storm', 8 to 65536.")
  var peers = 10_000

  @Option(parsing: .upToNextOption, help: "Send messages of these sizes in bytes in 'path'.")
  var sizes = BenchmarkEffort().sizes

  @Option(
    parsing: .unconditional,
    help:
      "Keep expanded keys for this many sessions in 'sessions'. Default: depends on the provider."
  )
  var keptKeys: Int?

  @Flag(help: "Establish sessions with fast, insecure handshakes; the figures are the same. Default: off.")
  var quickHandshakes = false

  @Option(help: ArgumentHelp("Run this many initiators at once in 'store', each number in turn.", valueName: "a,b,c"))
  var initiators = "1,16,256"

  @Option(
    help: ArgumentHelp(
      "Put the databases of 'store' and 'storm' into this folder, on the disk to measure. Default: the folder for temporary files.",
      valueName: "folder"))
  var folder: String?

  @OptionGroup var crypto: CryptoOption

  @Flag(help: "Print one JSON object per figure and line. Default: off.")
  var json = false

  func validate() throws {
    try OptionRange.check(rounds, of: "--rounds", in: 1...1000)
    try OptionRange.check(milliseconds, of: "--milliseconds", in: 1...600_000)
    guard sizes.allSatisfy(BenchmarkEffort.allowedSizes.contains) else {
      throw ValidationError("--sizes: each must be 0 to \(BenchmarkEffort.allowedSizes.upperBound)")
    }
    if let keptKeys, keptKeys <= 0 { throw ValidationError("--kept-keys \(keptKeys): must be greater than 0") }
    try OptionRange.check(sessions, of: "--sessions", in: 128...10_000_000)
    try OptionRange.check(peers, of: "--peers", in: 8...65_536)
    if folder == "" { throw ValidationError("--folder: is empty; . is where the command runs") }
    _ = try crowds()
  }

  /// Returns the parsed numbers of initiators.
  private func crowds() throws -> [Int] {
    try initiators.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let count = Int(text), (1...10_000).contains(count) else {
        throw ValidationError("--initiators \(initiators): '\(text)' is not a number from 1 to 10000")
      }
      return count
    }
  }

  func run() async throws {
    let provider = try crypto.provider()
    var effort = BenchmarkEffort()
    effort.rounds = rounds
    effort.duration = .milliseconds(milliseconds)
    effort.sessions = sessions
    effort.sizes = sizes
    effort.keptKeys = keptKeys
    #if DEBUG
      Terminal.note("this is a debug build: the figures say nothing")
    #endif
    if !json { Terminal.output("crypto: \(provider.name); medians of \(rounds)") }
    func includes(_ wanted: Subject) -> Bool { subject == wanted || subject == .all }
    do {
      if includes(.crypto) { try show(CryptoBenchmark.run(provider, effort: effort)) }
      if includes(.path) { try show(PathBenchmark.run(provider, effort: effort)) }
      if includes(.handshake) { try show(HandshakeBenchmark.run(provider, effort: effort)) }
      if includes(.challenge) { try show(ChallengeBenchmark.run(provider, effort: effort)) }
      if includes(.shards) { try show(ShardsBenchmark.run(provider, effort: effort)) }
      let sessionProvider: any CryptoProvider = quickHandshakes ? QuickHandshakes(provider) : provider
      if includes(.sessions) { try show(SessionsBenchmark.run(sessionProvider, effort: effort)) }
      if includes(.idle) { try show(IdleBenchmark.run(sessionProvider, effort: effort)) }
      #if os(Linux)
        if includes(.udp) { try show(await UDPBenchmark.run(provider, effort: effort)) }
        if includes(.flood) { try show(await FloodBenchmark.run(provider, effort: effort)) }
      #endif
      if includes(.store) {
        let benchmark = StoreComparison(
          provider: provider, effort: effort, folder: folder ?? FileManager.default.temporaryDirectory.path)
        try await benchmark.run(crowds()) { try show($0) }
      }
      if includes(.storm) {
        let benchmark = StormComparison(
          provider: provider, effort: effort, peers: peers,
          folder: folder ?? FileManager.default.temporaryDirectory.path)
        try await benchmark.run { try show($0) }
      }
    } catch let error as EncodingError {
      throw error
    } catch let error as CommandFailure {
      throw error
    } catch {
      throw CommandFailure.failed("a benchmark failed: \(error)")
    }
  }

  private func show(_ figures: [Figure]) throws {
    for figure in figures {
      if json { try Terminal.output(json: figure) } else { Terminal.output(line(figure)) }
    }
  }

  private func line(_ figure: Figure) -> String {
    var text =
      figure.benchmark.padding(toLength: 10, withPad: " ", startingAt: 0)
      + figure.name.padding(toLength: 50, withPad: " ", startingAt: 0)
      + String(format: figure.unit.isEmpty ? "%12.3f" : "%10.1f %@", figure.value, figure.unit)
    if let bound = figure.bound, let value = figure.boundValue, let ratio = figure.ratio {
      text += String(format: "   %.0f %% of %@ (%.1f %@)", 100 * ratio, bound, value, figure.unit)
    }
    return text
  }
}
