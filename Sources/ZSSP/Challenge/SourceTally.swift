// SPDX-License-Identifier: Apache-2.0

/// Counts half-open handshakes by source. Each handshake holds references to the counts of its
/// source, so finding the heaviest source needs no hashing.
struct SourceTally {
  /// A count that all handshakes of one prefix share.
  final class Count {
    fileprivate(set) var value = 0
  }

  /// The counts of one source.
  struct Share {
    fileprivate let network, host: Count

    /// The present counts.
    var weight: SourceCensus.Weight { SourceCensus.Weight(network: network.value, host: host.value) }
  }

  private var networks: [HelloSource.Prefix: Count] = [:]
  private var hosts: [HelloSource.Prefix: Count] = [:]

  /// The number of prefixes that have a count.
  var prefixCount: Int { networks.count + hosts.count }

  /// Adds a handshake of a source.
  mutating func add(_ source: HelloSource) -> Share {
    Share(network: Self.add(source.network, in: &networks), host: Self.add(source.host, in: &hosts))
  }

  /// Removes a handshake of a source.
  mutating func remove(_ source: HelloSource) {
    Self.remove(source.network, in: &networks)
    Self.remove(source.host, in: &hosts)
  }

  private static func add(_ prefix: HelloSource.Prefix, in counts: inout [HelloSource.Prefix: Count]) -> Count {
    let count = counts[prefix] ?? Count()
    counts[prefix] = count
    count.value += 1
    return count
  }

  private static func remove(_ prefix: HelloSource.Prefix, in counts: inout [HelloSource.Prefix: Count]) {
    guard let count = counts[prefix] else { return }
    count.value -= 1
    if count.value == 0 { counts[prefix] = nil }
  }
}
