// SPDX-License-Identifier: Apache-2.0
public import SwiftZSSP

/// Takes the readings of the sensors in its list, and acknowledges each by sending it back.
public struct Gateway: Service {
  let endpoint: UDPEndpoint
  let allowed: AllowList
  let handle: @Sendable (PublicKey, [UInt8]) -> Void

  /// A gateway that gives each reading to `handle`.
  public init(
    _ endpoint: UDPEndpoint, _ allowed: AllowList, _ handle: @escaping @Sendable (PublicKey, [UInt8]) -> Void
  ) {
    (self.endpoint, self.allowed, self.handle) = (endpoint, allowed, handle)
  }

  /// Serves until the endpoint is closed, which a graceful shutdown does.
  public func run() async throws {
    try await withThrowingDiscardingTaskGroup { group in
      group.addTask { try await endpoint.run() }
      for await handshake in endpoint.incoming {
        if allowed.contains(handshake.peer) { group.addTask { await serve(handshake) } } else { handshake.reject() }
      }
    }
  }

  private func serve(_ handshake: IncomingSession) async {
    do {
      let session = try await handshake.accept()
      for await reading in session.messages {
        handle(session.peer, reading)
        try await session.send(reading)
      }
    } catch {
      print("sensor \(handshake.peer): \(error)")
    }
  }
}
