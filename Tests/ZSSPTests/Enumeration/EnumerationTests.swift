// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

/// The results of a set of cases.
struct EnumerationReport {
  var cases = 0
  /// "case: problem", the first hundred.
  var failures: [String] = []
  /// The longest time that a case took to heal, and the case.
  var slowest = (time: Duration.zero, test: "")
  /// Cases of opportunistic mode with a reported downgrade.
  var downgraded = 0

  mutating func run(_ test: Case, provider: any CryptoProvider) throws {
    cases += 1
    let scenario = try Scenario(test, provider: provider)
    try scenario.runFaults()
    for omission in scenario.omissions() { fail(test, problem: omission) }
    if let time = try scenario.heal() {
      if time > slowest.time { slowest = (time, test.description) }
      for problem in scenario.problems() { fail(test, problem: problem) }
    } else {
      fail(test, problem: "no session within \(Scenario.bound)")
    }
    if scenario.alice.downgrades + scenario.bob.downgrades > 0 { downgraded += 1 }
  }

  private mutating func fail(_ test: Case, problem: String) {
    if failures.count < 100 { failures.append("\(test): \(problem)") }
  }

  /// Splits the cases over `lanes`, each with its own provider.
  static func run(_ tests: [Case], lanes: Int = 2) async throws -> EnumerationReport {
    try await withThrowingTaskGroup(of: EnumerationReport.self) { group in
      for lane in 0..<lanes {
        group.addTask {
          var report = EnumerationReport()
          for index in stride(from: lane, to: tests.count, by: lanes) {
            try report.run(tests[index], provider: FastCrypto(seed: UInt64(index)))
          }
          return report
        }
      }
      var all = EnumerationReport()
      for try await report in group {
        all.cases += report.cases
        all.failures += report.failures
        all.downgraded += report.downgraded
        if report.slowest.time > all.slowest.time { all.slowest = report.slowest }
      }
      return all
    }
  }

  func expectGood(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
    print("\(name): \(cases) cases, slowest \(slowest.time) (\(slowest.test)), \(downgraded) with a downgrade")
    #expect(failures == [], sourceLocation: sourceLocation)
  }
}

@Suite("Every loss, repetition, delay and crash", .tags(.slow))
struct EnumerationTests {
  private static let isFull = ProcessInfo.processInfo.environment["ZSSP_FULL_ENUMERATION"] != nil
  /// The number of cases of the product that are run, if not all (1).
  private static let productLimit = ProcessInfo.processInfo.environment["ZSSP_FULL_ENUMERATION"].flatMap(Int.init)

  // [CTRL-4] [TIME-1]
  @Test("Every fault alone", arguments: TestSelection.isAll ? [false, true] : [false])
  func singles(hasLongIdentity: Bool) async throws {
    let faults = Case.none + Case.singles(hasLongIdentity: hasLongIdentity)
    let tests = Case.all(faults, crashes: [nil], hasLongIdentity: hasLongIdentity)
    // All take long: by default every seventh case is run, in which each slot and both modes have
    // their turn.
    let chosen = TestSelection.isAll ? tests : tests.enumerated().filter { $0.offset % 7 == 0 }.map(\.element)
    try await EnumerationReport.run(chosen).expectGood("singles")
  }

  @Test("Every fault alone, with every crash", .enabled(if: isFull), arguments: [false, true])
  func singlesWithCrashes(hasLongIdentity: Bool) async throws {
    let faults = Case.none + Case.singles(hasLongIdentity: hasLongIdentity)
    let crashes = Crash.all(hasLongIdentity: hasLongIdentity).map(Optional.some)
    try await EnumerationReport.run(Case.all(faults, crashes: crashes, hasLongIdentity: hasLongIdentity))
      .expectGood("singles with crashes")
  }

  @Test("Every pair of faults", .enabled(if: isFull), arguments: [false, true])
  func pairs(hasLongIdentity: Bool) async throws {
    let faults = Case.pairs(hasLongIdentity: hasLongIdentity)
    try await EnumerationReport.run(Case.all(faults, crashes: [nil], hasLongIdentity: hasLongIdentity)).expectGood(
      "pairs")
  }

  @Test("A sample of every pair of faults with every crash", .long, arguments: [false, true])
  func sample(hasLongIdentity: Bool) async throws {
    var random = SplitMix64(seed: 0xE17)
    let pairs = Case.pairs(hasLongIdentity: hasLongIdentity)
    let crashes = Crash.all(hasLongIdentity: hasLongIdentity)
    let tests = (0..<100).compactMap { _ -> Case? in
      guard let faults = pairs.randomElement(using: &random) else { return nil }
      return Case(
        isPersistent: random.next() % 2 == 0, hasLongIdentity: hasLongIdentity, faults: faults,
        crash: crashes.randomElement(using: &random))
    }
    try await EnumerationReport.run(tests).expectGood("sample")
  }

  /// 1.5 million cases. `ZSSP_FULL_ENUMERATION=20000` runs that many of each kind, drawn by a fixed
  /// seed.
  @Test("Every pair of faults with every crash", .enabled(if: isFull), arguments: [false, true])
  func product(hasLongIdentity: Bool) async throws {
    let crashes = Crash.all(hasLongIdentity: hasLongIdentity).map(Optional.some)
    var tests = Case.all(
      Case.pairs(hasLongIdentity: hasLongIdentity), crashes: crashes, hasLongIdentity: hasLongIdentity)
    let count = tests.count
    if let limit = Self.productLimit, limit > 1 {
      var random = SplitMix64(seed: 0xA11)
      tests.shuffle(using: &random)
      tests = Array(tests.prefix(limit))
    }
    try await EnumerationReport.run(tests).expectGood("product (of \(count))")
  }

  @Test("Every fault alone, with real cryptography", .enabled(if: isFull), arguments: providers)
  func realCryptography(provider: any CryptoProvider) throws {
    var report = EnumerationReport()
    for test in Case.all(Case.none + Case.singles(), crashes: [nil]) { try report.run(test, provider: provider) }
    report.expectGood("real")
  }

  /// The name of each fault, and what went wrong once.
  @Test(
    "Cases that failed once",
    arguments: [
      "P X3=1500 X3=drop A@X3+1200"
    ])
  func regression(_ text: String) throws {
    let test = try #require(Case(text))
    #expect(test.description == text)
    var report = EnumerationReport()
    try report.run(test, provider: FastCrypto(seed: 1))
    report.expectGood(text)
  }
}
