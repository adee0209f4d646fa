// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// The one owner of the peers. It publishes each change to its readers: event loops, which must not wait for a lock at each packet,
/// have a ``PeerTable`` of their own.
final class PeerRegistry: Sendable {
  /// A reader of tables. It is called in the order of the changes, must not block, and must not call the registry.
  typealias Reader = @Sendable (PeerTable) -> Void

  private struct State {
    var configuration: TunnelConfiguration
    var table: PeerTable
    var readers: [Reader] = []
  }

  private let state: NIOLockedValueBox<State>

  /// The peers of a configuration.
  init(_ configuration: TunnelConfiguration) {
    state = NIOLockedValueBox(State(configuration: configuration, table: PeerTable(configuration.peers)))
  }

  /// The peers as they are now.
  var table: PeerTable { state.withLockedValue(\.table) }

  /// The configuration of the tunnel, with the peers as they are now.
  var configuration: TunnelConfiguration {
    state.withLockedValue { state in
      var configuration = state.configuration
      configuration.peers = state.table.configurations.sorted { $0.key < $1.key }.map(\.value)
      return configuration
    }
  }

  /// Tells a reader of the peers as they are, and of every change from now on.
  func publish(to reader: @escaping Reader) {
    state.withLockedValue { state in
      state.readers.append(reader)
      reader(state.table)
    }
  }

  /// Changes the peers, and tells every reader before this returns.
  ///
  /// - Returns: the configurations before and after, and what `body` returned.
  @discardableResult
  func change<Result>(
    _ body: (inout PeerTable) -> Result
  ) -> (former: PeerTable, current: PeerTable, result: Result) {
    state.withLockedValue { state in
      let former = state.table
      let result = body(&state.table)
      for reader in state.readers { reader(state.table) }
      return (former, state.table, result)
    }
  }

  /// Replaces the rest of the configuration; peers stay as they are.
  func adopt(_ configuration: TunnelConfiguration) {
    state.withLockedValue { $0.configuration = configuration }
  }
}
