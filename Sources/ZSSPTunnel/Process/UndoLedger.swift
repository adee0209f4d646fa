// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The record of everything that a running tunnel makes outside of its device, written before it is
/// made.
final class UndoLedger: Sendable {
  private struct Items {
    var routes: [EndpointRoute] = []
    var rules: [PolicyRule] = []
    /// The device whose name servers were set with `resolvconf`; nil for none.
    var names: String?

    var lines: [String] { routes.map(\.description) + rules.map(\.description) + (names.map { ["names \($0)"] } ?? []) }
  }

  private let folder: RunFolder
  private let items = Mutex(Items())

  init(_ folder: RunFolder) { self.folder = folder }

  /// Records the routes around the tunnel.
  func remember(_ routes: [EndpointRoute]) throws(TunnelError) { try change { $0.routes = routes } }

  /// Records the rules.
  func remember(rules: [PolicyRule]) throws(TunnelError) { try change { $0.rules = rules } }

  /// Records that name servers are set for a device.
  func remember(names device: String) throws(TunnelError) { try change { $0.names = device } }

  /// The recorded rules.
  var rules: [PolicyRule] { items.withLock { $0.rules } }

  /// Undoes everything that is recorded.
  ///
  /// - Returns: What could not be undone.
  func undo() -> [String] { folder.undoRemembered() }

  private func change(_ body: (inout Items) -> Void) throws(TunnelError) {
    let failure: TunnelError? = items.withLock { items in
      var next = items
      body(&next)
      do throws(TunnelError) { try folder.remember(next.lines) } catch { return error }
      items = next
      return nil
    }
    if let failure { throw failure }
  }
}
