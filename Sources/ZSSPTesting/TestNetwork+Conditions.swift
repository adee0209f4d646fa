// SPDX-License-Identifier: Apache-2.0

extension TestNetwork {
  /// The behaviour of the network.
  public struct Conditions: Sendable, Hashable {
    /// The fraction of datagrams that are lost, 0…1. The default is 0.
    public var loss = 0.0
    /// The delay of each datagram. The default is zero.
    public var delay = Duration.zero
    /// The maximum random extra delay of each datagram, which reorders datagrams. The default is
    /// zero.
    public var jitter = Duration.zero

    /// Makes conditions without loss and delay.
    public init() {}
  }

  /// The fate of the datagrams.
  public struct Counters: Sendable, Hashable {
    /// Datagrams that were sent.
    public internal(set) var sent = 0
    /// Datagrams lost by ``Conditions/loss``.
    public internal(set) var lost = 0
    /// Datagrams lost by a partition.
    public internal(set) var cutOff = 0
    /// Datagrams for an address without an endpoint.
    public internal(set) var undeliverable = 0
  }
}
