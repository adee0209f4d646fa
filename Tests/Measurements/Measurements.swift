// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// Measures what other tests cannot: whether times depend on secrets, what memory holds after a
/// session, and how many instructions operations take.
///
///     ZSSPMeasurements times SEED [SCALE]          for Scripts/constant-time
///     ZSSPMeasurements memory DESCRIPTOR           for Scripts/scan-memory
///     ZSSPMeasurements work [NUMBER REPETITIONS]   for Scripts/instructions
@main
struct Measurements {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    switch (arguments.first, arguments.dropFirst().first) {
    case ("memory", let descriptor?):
      guard let pipe = Int32(descriptor) else { throw MeasurementError.noArgument }
      try MemorySubject(pipe: pipe).run()
    case ("times", let text?):
      guard let seed = UInt64(text) else { throw MeasurementError.noArgument }
      try await times(seed: seed, scale: arguments.dropFirst(2).first.flatMap(Double.init) ?? 1)
    case ("work", nil):
      for work in CountedWork.all { print("\(work.units)\t\(work.repetitions)\t\(work.name)") }
    case ("work", let text?):
      guard let number = Int(text), CountedWork.all.indices.contains(number),
        let repetitions = arguments.dropFirst(2).first.flatMap({ Int($0) }), repetitions >= 0
      else { throw MeasurementError.noArgument }
      try CountedWork.all[number].run(repetitions)
    default: throw MeasurementError.noArgument
    }
  }

  /// Prints a row for each case: name, classes, expectation, samples, calls, then t, difference and
  /// smallest difference that would have been found in nanoseconds of each of two rounds, and the
  /// verdict; separated by tabs.
  private static func times(seed: UInt64, scale: Double) async throws {
    var random = SplitMix64(seed: seed)
    for timing in try timingCases() + (await databaseCases()) {
      let first = await timing.measure(&random, scale: scale)
      let second = await timing.measure(&random, scale: scale)
      // By chance alone the two would have to agree on the direction as well.
      let isLeak = first.isLeak && second.isLeak && (first.worst.t > 0) == (second.worst.t > 0)
      let verdict =
        switch timing.expectation {
        case .same: isLeak ? "LEAK" : "same"
        case .explained: isLeak ? "differs" : "same"
        case .leak: isLeak ? "found" : "NOT FOUND"
        }
      let figures = [first, second].flatMap { [$0.worst.t, $0.worst.difference, $0.detectable] }
        .map { String((($0 * 100).rounded() / 100).description) }
      let fields =
        [
          timing.name, timing.classes, timing.expectation.rawValue, String(Int(Double(timing.samples) * scale)),
          String(timing.calls),
        ]
        + figures + [verdict]
      print(fields.joined(separator: "\t"))
      note("\(timing.name): t \(figures[0]), \(figures[3]): \(verdict)")
    }
  }
}
