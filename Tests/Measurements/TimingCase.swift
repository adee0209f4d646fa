// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// The expected result of a case.
enum Expectation: String {
  /// The time must not depend on the class.
  case same = "must not differ"
  /// The time does depend on the class, by design, and the page says why that gives nothing away.
  case explained = "may differ (explained)"
  /// A planted leak, which must be found.
  case leak = "control: must differ"
}

/// One function and two classes of inputs for it.
struct TimingCase {
  let name: String
  let classes: String
  let expectation: Expectation
  /// The number of times that are taken. Each is the time of `calls` calls.
  let samples: Int
  let calls: Int
  /// Takes times of `count` inputs of random classes.
  let run: (_ count: Int, _ calls: Int, inout SplitMix64) async -> [(isFirst: Bool, time: Double)]

  /// Makes a case of a function. `make` makes all inputs before the first is used.
  init<Input>(
    _ name: String, classes: String, expectation: Expectation, samples: Int, calls: Int = 1,
    make: @escaping (_ isFirst: Bool, inout SplitMix64) -> Input, call: @escaping (Input) -> Int
  ) {
    self.init(name, classes: classes, expectation: expectation, samples: samples, calls: calls) {
      count, calls, random in
      let choices = (0..<count).map { _ in random.next() & 1 == 0 }
      let inputs = choices.map { make($0, &random) }
      var times: [(isFirst: Bool, time: Double)] = []
      times.reserveCapacity(count)
      for index in 0..<count {
        let input = inputs[index]
        let start = nanoseconds()
        var result = 0
        for _ in 0..<calls { result &+= call(input) }
        let end = nanoseconds()
        consume(result)
        times.append((choices[index], Double(end - start) / Double(calls)))
      }
      return times
    }
  }

  /// A function that measures itself.
  init(
    _ name: String, classes: String, expectation: Expectation, samples: Int, calls: Int,
    run: @escaping (Int, Int, inout SplitMix64) async -> [(isFirst: Bool, time: Double)]
  ) {
    self.name = name
    self.classes = classes
    self.expectation = expectation
    self.samples = samples
    self.calls = calls
    self.run = run
  }
}

/// The outcome of a case: of several comparisons, each with another share of the times, the one
/// with the largest |t|.
struct TimingResult {
  let comparisons: [Comparison]

  var worst: Comparison { comparisons.max { abs($0.t) < abs($1.t) } ?? comparisons[0] }
  /// The smallest difference that would have been found, in nanoseconds, at the comparison that
  /// sees best.
  var detectable: Double { threshold * (comparisons.map(\.error).min() ?? .infinity) }
  var isLeak: Bool { abs(worst.t) > threshold }
}

/// The threshold of dudect: |t| above it is a leak. Chance alone exceeds it once in 150,000
/// comparisons.
let threshold = 4.5

extension TimingCase {
  /// Takes all samples. The first chunk warms up and says where the times are cut.
  func measure(_ random: inout SplitMix64, scale: Double) async -> TimingResult {
    let chunk = min(1000, max(100, samples / 20))
    var first = await run(chunk, calls, &random).map(\.time)
    first = await run(chunk, calls, &random).map(\.time)
    first.sort()
    var comparisons = [1.0, 0.99, 0.95, 0.8, 0.5].map { share in
      Comparison(kept: share, limit: share == 1 ? .infinity : first[Int(share * Double(first.count - 1))])
    }
    var left = Int(Double(samples) * scale)
    while left > 0 {
      for (isFirst, time) in await run(min(chunk, left), calls, &random) {
        for index in comparisons.indices { comparisons[index].add(time, isFirst: isFirst) }
      }
      left -= chunk
    }
    return TimingResult(comparisons: comparisons)
  }
}
