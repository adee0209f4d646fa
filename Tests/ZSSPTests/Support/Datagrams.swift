// SPDX-License-Identifier: Apache-2.0

@testable import ZSSP

extension DatagramBatch {
  /// The datagrams one by one, as a transport without segmentation would send them.
  var datagrams: [[UInt8]] {
    let bytes = bytes
    var datagrams: [[UInt8]] = []
    for run in runs {
      for start in stride(from: run.range.lowerBound, to: run.range.upperBound, by: max(run.segmentSize, 1)) {
        let end = min(start + run.segmentSize, run.range.upperBound)
        datagrams.append(bytes.extracting(start..<end).array)
      }
    }
    return datagrams
  }
}
