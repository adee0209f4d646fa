// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// The owner of the peers. It publishes each change to its readers: event loops must not wait for a
/// lock at each packet, so each has its own ``PeerTable``.
final class PeerRegistry: Sendable {
  /// A function that receives tables, in the order of the changes. It must neither block nor call
  /// the registry.
  typealias Reader = @Sendable (PeerTable) -> Void

  private struct State {
    var configuration: TunnelConfiguration
    var table: PeerTable
    /// The peers of the file when it was read last.
    var file: [PeerConfiguration]
    var readers: [Reader] = []
  }

  private let state: NIOLockedValueBox<State>

  /// Makes the registry of a configuration's peers.
  init(_ configuration: TunnelConfiguration) {
    state = NIOLockedValueBox(
      State(configuration: configuration, table: PeerTable(configuration.peers), file: configuration.peers))
  }

  /// The current peers.
  var table: PeerTable { state.withLockedValue(\.table) }

  /// Returns the name of the peer with a key; nil for none.
  func name(of key: PublicKey) -> String? { state.withLockedValue { $0.table.peer(key)?.name } }

  /// The configuration of the tunnel with the current peers.
  var configuration: TunnelConfiguration {
    state.withLockedValue { state in
      var configuration = state.configuration
      configuration.peers = state.table.configurations.sorted { $0.key < $1.key }.map(\.value)
      return configuration
    }
  }

  /// Calls a reader with the current peers, and again after each change.
  func publish(to reader: @escaping Reader) {
    state.withLockedValue { state in
      state.readers.append(reader)
      reader(state.table)
    }
  }

  /// Changes the peers, and calls every reader before it returns.
  ///
  /// - Returns: The tables before and after, and the result of `body`.
  @discardableResult
  func change<Result>(
    _ body: (inout PeerTable) -> Result
  ) -> (former: PeerTable, current: PeerTable, result: Result) {
    state.withLockedValue { Self.change(&$0, body: body) }
  }

  private static func change<Result>(
    _ state: inout State, body: (inout PeerTable) -> Result
  ) -> (former: PeerTable, current: PeerTable, result: Result) {
    let former = state.table
    let result = body(&state.table)
    for reader in state.readers { reader(state.table) }
    return (former, state.table, result)
  }

  /// Adopts the peers of a file that was read again, besides what requests have changed, and calls
  /// every reader before it returns.
  ///
  /// - Returns: The tables before and after.
  @discardableResult
  func reload(_ peers: [PeerConfiguration]) -> (former: PeerTable, current: PeerTable) {
    state.withLockedValue { state in
      let merge = PeerMerge(
        file: state.file, running: state.table.configurations.values, enrolled: state.table.enrolled,
        flags: state.configuration.flags)
      state.file = peers
      let change = Self.change(&state) { $0.replace(merge.peers(peers)) }
      return (change.former, change.current)
    }
  }

  /// Replaces the configuration except for the peers.
  func adopt(_ configuration: TunnelConfiguration) {
    state.withLockedValue { $0.configuration = configuration }
  }
}
