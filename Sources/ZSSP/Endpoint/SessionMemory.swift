// SPDX-License-Identifier: Apache-2.0

/// The memory that all sessions of an endpoint share, with limits for all of them together.
struct SessionMemory {
  /// The sessions with expanded keys.
  var keys: KeyCache
  /// The incomplete packets of sessions and half-open handshakes.
  var packets: ReassemblyMemory

  init(_ configuration: EndpointConfiguration) {
    let settings = configuration.settings
    keys = KeyCache(
      limit: settings.expandedKeys ?? max(1, configuration.provider.usualExpandedKeys),
      timeout: settings.expandedKeyTimeout)
    packets = ReassemblyMemory(limit: settings.totalReassemblyLimit, share: settings.reassemblyShare)
  }
}
