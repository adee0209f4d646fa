// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Everything that a running tunnel has made outside of its device, written down before it is made.
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

  /// Writes down the routes around the tunnel.
  func remember(_ routes: [EndpointRoute]) throws(TunnelError) { try change { $0.routes = routes } }

  /// Writes down the rules.
  func remember(rules: [PolicyRule]) throws(TunnelError) { try change { $0.rules = rules } }

  /// Writes down that name servers are set for a device.
  func remember(names device: String) throws(TunnelError) { try change { $0.names = device } }

  /// The rules that are written down.
  var rules: [PolicyRule] { items.withLock { $0.rules } }

  /// Undoes everything that is written down.
  ///
  /// - Returns: what could not be undone.
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
