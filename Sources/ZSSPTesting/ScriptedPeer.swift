// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP
public import ZSSPNIO

/// A peer that follows a test's script, step by step, on a ``TestNetwork``.
///
/// ```swift
/// func isAcknowledged(
///   _ client: UDPEndpoint, _ network: TestNetwork, _ configuration: EndpointConfiguration
/// ) async throws -> Bool {
///   let gateway = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: configuration)
///   async let script: Void = gateway.run([.accept, .expect([1]), .send([2])])
///   let session = try await client.connect(to: gateway.address, key: gateway.publicKey)
///   try await session.send([1])
///   let answer = await session.messages.first { _ in true }
///   try await script
///   return answer == [2]
/// }
/// ```
public actor ScriptedPeer {
  /// An action of the peer.
  public enum Step: Sendable, Hashable {
    /// Waits for a handshake, and accepts it. Later steps use its session.
    case accept
    /// Waits for a handshake, and refuses it; the initiator is told.
    case reject
    /// Waits for a handshake, and makes no decision.
    case ignore
    /// Opens a session. Later steps use it.
    case connect(to: SocketAddress, key: PublicKey)
    /// Sends a message.
    case send([UInt8])
    /// Waits for a message, which must equal this one.
    case expect([UInt8])
    /// Waits for this many messages, and sends each back.
    case echo(Int)
    /// Replaces the session's key.
    case rekey
    /// Closes the session.
    case close
    /// Loses the peer's datagrams, and those for it, from now on.
    case vanish
    /// Ends the loss.
    case appear
    /// Closes the endpoint, and replaces it by another one with the same key and store.
    case restart
  }

  /// The error for a step that failed.
  public struct Failure: Error, CustomStringConvertible {
    /// The index of the step in the script, from 0.
    public let index: Int
    /// The step.
    public let step: Step
    /// The reason of the failure.
    public let reason: String

    /// The step and the reason.
    public var description: String { "step \(index), \(step): \(reason)" }
  }

  /// The peer's address.
  public nonisolated let address: SocketAddress
  /// The peer's static key.
  public nonisolated let publicKey: PublicKey
  private let network: TestNetwork
  private let place: String
  private let configuration: EndpointConfiguration
  private let store: any RatchetStore
  private var endpoint: UDPEndpoint
  private var session: Session?

  /// Makes a peer with its own endpoint.
  ///
  /// - Throws: The errors of ``TestNetwork/endpoint(at:configuration:store:options:logger:)``.
  public init(
    on network: TestNetwork, at address: String, configuration: EndpointConfiguration,
    store: any RatchetStore = VolatileRatchetStore()
  ) async throws(UDPError) {
    self.network = network
    place = address
    self.configuration = configuration
    self.store = store
    endpoint = try await network.endpoint(at: address, configuration: configuration, store: store)
    self.address = endpoint.localAddress
    publicKey = endpoint.publicKey
  }

  /// Runs the steps in order. If a step needs time, the test must advance the clock meanwhile.
  ///
  /// - Throws: ``Failure`` for the first step that fails.
  public func run(_ steps: [Step]) async throws(Failure) {
    for (index, step) in steps.enumerated() {
      func fail(_ reason: String) -> Failure { Failure(index: index, step: step, reason: reason) }
      do {
        if let reason = try await perform(step) { throw fail(reason) }
      } catch let failure as Failure {
        throw failure
      } catch {
        throw fail("\(error)")
      }
    }
  }

  /// Closes the peer's endpoint.
  public func close() async { await endpoint.close() }

  /// Runs one step, and returns the reason of a failure; nil for success.
  private func perform(_ step: Step) async throws -> String? {
    switch step {
    case .accept:
      guard let handshake = await nextHandshake() else { return "no handshake came" }
      session = try await handshake.accept()
    case .reject:
      guard let handshake = await nextHandshake() else { return "no handshake came" }
      handshake.reject(silently: false)
    case .ignore:
      if await nextHandshake() == nil { return "no handshake came" }
    case .connect(let address, let key):
      session = try await endpoint.connect(to: address, key: key)
    case .vanish: network.cutOff(endpoint)
    case .appear: network.reconnect(endpoint)
    case .restart:
      await endpoint.close()
      session = nil
      endpoint = try await network.endpoint(at: place, configuration: configuration, store: store)
    case .send, .expect, .echo, .rekey, .close:
      guard let session else { return "there is no session" }
      return try await perform(step, on: session)
    }
    return nil
  }

  private func perform(_ step: Step, on session: Session) async throws -> String? {
    switch step {
    case .send(let message): try await session.send(message)
    case .expect(let expected):
      let message = await session.messages.first { _ in true }
      guard message == expected else {
        return message.map { "\($0) came instead" } ?? "the session ended"
      }
    case .echo(let count):
      var messages = session.messages.makeAsyncIterator()
      for _ in 0..<count {
        guard let message = await messages.next(isolation: #isolation) else { return "the session ended" }
        try await session.send(message)
      }
    case .rekey:
      guard await session.rekey() else { return "no re-key begins" }
    case .close: await session.close()
    default: break
    }
    return nil
  }

  private func nextHandshake() async -> IncomingSession? { await endpoint.incoming.first { _ in true } }
}
