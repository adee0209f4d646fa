// SPDX-License-Identifier: Apache-2.0

/// Memory that all sessions of an endpoint share, and that is bounded for all of them together.
struct SessionMemory {
  /// Which sessions have keys expanded.
  var keys: KeyCache
  /// What is incomplete of sessions and half-open handshakes.
  var packets: ReassemblyMemory

  init(_ configuration: EndpointConfiguration) {
    let settings = configuration.settings
    keys = KeyCache(
      limit: settings.expandedKeys ?? max(1, configuration.provider.usualExpandedKeys),
      timeout: settings.expandedKeyTimeout)
    packets = ReassemblyMemory(limit: settings.totalReassemblyLimit, share: settings.reassemblyShare)
  }
}
