// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The connections of a server, in the order of their arrival. Used on the server's event loop
/// only.
final class ConnectionTable {
  private let limit: Int
  private var connections: [(channel: any Channel, connection: MetricsConnection)] = []

  /// Makes an empty table for at most `limit` connections.
  init(limit: Int) { self.limit = max(1, limit) }

  /// The number of connections.
  var count: Int { connections.count }
  /// The number of connections for which metrics are gathered.
  var answeringCount: Int { connections.count { $0.connection.isAnswering } }

  /// Adds a connection. If all places are taken, it replaces the oldest one that is not about to be
  /// answered.
  ///
  /// - Returns: False if there is none, so that the new one must be closed.
  func admit(_ connection: MetricsConnection, on channel: any Channel) -> Bool {
    if connections.count >= limit {
      guard let index = connections.firstIndex(where: { !$0.connection.isAnswering }) else { return false }
      let oldest = connections.remove(at: index)
      oldest.channel.close(promise: nil)
    }
    connections.append((channel, connection))
    return true
  }

  /// Removes a connection that is closed.
  func remove(_ connection: MetricsConnection) { connections.removeAll { $0.connection === connection } }

  /// Closes all connections.
  func closeAll() {
    for (channel, _) in connections { channel.close(promise: nil) }
    connections = []
  }
}
