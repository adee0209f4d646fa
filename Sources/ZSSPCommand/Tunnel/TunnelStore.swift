// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Foundation
  import ZSSPTunnel

  /// The store of a tunnel that becomes another user.
  enum TunnelStore {
    /// Refuses a store that the user could not write to: every ratchet would be lost at its first step.
    static func check(_ configuration: TunnelConfiguration) throws(CommandFailure) {
      guard let name = configuration.user else { return }
      let user: TunnelUser
      do { user = try TunnelUser(name) } catch { throw error.commandFailure }
      guard let text = configuration.store else { return }
      let location = try StoreLocation(text)
      guard let path = location.path else { return }
      let folder = URL(filePath: path).deletingLastPathComponent().path
      if user.mayWrite(folder) == false {
        throw .usage("store \(text): the user \"\(name)\" may not write in \(folder)")
      }
      // A database is opened again while the tunnel runs.
      guard case .sqlite = location, user.mayWrite(path) == false else { return }
      throw .usage(
        FileManager.default.fileExists(atPath: path)
          ? "store \(text): the user \"\(name)\" may not write to it"
          : "store \(text): make it by a start without 'user', and give it to \"\(name)\" with chown")
    }
  }
#endif
