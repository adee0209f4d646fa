// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import Synchronization
import ZSSPNIO

/// Resolves names with the system's resolver, which blocks. Each look-up has its own thread, so
/// that an unanswered name does not delay others.
actor NameLookUps {
  /// The look-ups of this process.
  static let shared = NameLookUps()
  /// The maximum number of concurrent look-ups. Others wait.
  private static let limit = 64

  private var running = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// Returns the addresses of a name, in the order in which they are to be tried; none if the name
  /// is unknown or the task is cancelled.
  func addresses(of name: String, port: Int) async -> [SocketAddress] {
    if running >= Self.limit {
      await withCheckedContinuation { waiting.append($0) }
    } else {
      running += 1
    }
    let lookUp = LookUp()
    let thread = Thread {
      lookUp.finish(NameResolver.systemAddresses(of: name, port: port))
      Task { await self.ended() }
    }
    thread.name = "zssp-resolver"
    thread.start()
    return await withTaskCancellationHandler {
      await lookUp.result()
    } onCancel: {
      lookUp.finish([])
    }
  }

  private func ended() {
    guard !waiting.isEmpty else {
      running -= 1
      return
    }
    waiting.removeFirst().resume()
  }

  /// A look-up whose result is awaited once. The first result counts.
  private final class LookUp: Sendable {
    private enum State {
      case begun
      case awaited(CheckedContinuation<[SocketAddress], Never>)
      case done([SocketAddress])
    }

    private let state = Mutex(State.begun)

    func finish(_ addresses: [SocketAddress]) {
      let continuation: CheckedContinuation<[SocketAddress], Never>? = state.withLock { state in
        switch state {
        case .done: return nil
        case .begun:
          state = .done(addresses)
          return nil
        case .awaited(let continuation):
          state = .done(addresses)
          return continuation
        }
      }
      continuation?.resume(returning: addresses)
    }

    func result() async -> [SocketAddress] {
      await withCheckedContinuation { continuation in
        let known: [SocketAddress]? = state.withLock { state in
          if case .done(let addresses) = state { return addresses }
          state = .awaited(continuation)
          return nil
        }
        if let known { continuation.resume(returning: known) }
      }
    }
  }
}

extension PeerEndpoint {
  /// Returns the addresses of endpoints, in their order. All names are resolved concurrently.
  ///
  /// - Parameters:
  ///   - endpoints: The endpoints of a peer.
  ///   - local: The bound address of the socket, which may not reach all of them.
  /// - Throws: ``DialFailure`` if the socket reaches no address.
  static func addresses(
    of endpoints: [PeerEndpoint], reachableFrom local: SocketAddress
  ) async throws(DialFailure) -> [SocketAddress] {
    let found = await withTaskGroup(of: (Int, [SocketAddress]).self) { group in
      for (index, endpoint) in endpoints.enumerated() {
        group.addTask {
          switch endpoint.host {
          case .address(let address): (index, [address])
          case .name(let name): (index, await NameLookUps.shared.addresses(of: name, port: endpoint.port))
          }
        }
      }
      var found = [[SocketAddress]](repeating: [], count: endpoints.count)
      for await (index, addresses) in group { found[index] = addresses }
      return found
    }
    var reachable: [SocketAddress] = []
    for address in found.joined() where local.reaches(address) && !reachable.contains(address) {
      reachable.append(address)
    }
    guard reachable.isEmpty else { return reachable }
    let reasons = zip(endpoints, found).map { endpoint, addresses in
      Self.reason(for: endpoint, found: addresses, local: local)
    }
    throw .noAddress(reasons.joined(separator: "; "))
  }

  private static func reason(for endpoint: PeerEndpoint, found: [SocketAddress], local: SocketAddress) -> String {
    let kind = local.protocol == .inet6 ? "IPv6" : "IPv4"
    guard case .name(let name) = endpoint.host else {
      return "\(endpoint) cannot be reached from a socket that is bound to \(local.text)"
    }
    guard !found.isEmpty else { return "the name \"\(name)\" is not known now" }
    return "the name \"\(name)\" has no \(kind) address, and a socket that is bound to \(local.text) reaches no other"
  }
}
