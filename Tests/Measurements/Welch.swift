// SPDX-License-Identifier: Apache-2.0

/// Mean and variance of times, taken one after another.
struct Sample {
  private(set) var count = 0.0
  private(set) var mean = 0.0
  private var squares = 0.0

  mutating func add(_ value: Double) {
    count += 1
    let difference = value - mean
    mean += difference / count
    squares += difference * (value - mean)
  }

  var variance: Double { count > 1 ? squares / (count - 1) : 0 }
}

/// The times of two classes of inputs, those up to a limit alone: what interrupts made long says
/// nothing.
struct Comparison {
  /// The share of all times that is kept.
  let kept: Double
  let limit: Double
  private var classes = (Sample(), Sample())

  init(kept: Double, limit: Double) {
    self.kept = kept
    self.limit = limit
  }

  mutating func add(_ time: Double, isFirst: Bool) {
    guard time <= limit else { return }
    if isFirst { classes.0.add(time) } else { classes.1.add(time) }
  }

  var count: Int { Int(classes.0.count + classes.1.count) }

  /// The mean time of the first class less that of the second, in nanoseconds.
  var difference: Double { classes.0.mean - classes.1.mean }

  /// The standard error of ``difference``.
  var error: Double {
    guard classes.0.count > 1, classes.1.count > 1 else { return .infinity }
    return (classes.0.variance / classes.0.count + classes.1.variance / classes.1.count).squareRoot()
  }

  /// Welch's t.
  var t: Double { error > 0 && error.isFinite ? difference / error : 0 }
}
