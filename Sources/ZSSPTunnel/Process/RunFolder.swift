// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import ZSSPFiles

/// The folder of a running tunnel, `/run/zssp/NAME`. It holds the lock, the control socket, the
/// log, and the list of changes to the system that the device's removal does not undo.
///
/// A change is recorded before it is made. So it is undone at the next start at the latest, however
/// the process ended. Undoing runs with all privileges, so only the user who made the folder may
/// write to it, even after the process changed its user.
struct RunFolder {
  /// The folder of all tunnels.
  static let root = "/run/zssp"

  let path: String
  private let root: String
  private let interface: String

  /// Names the folder of a device. Does not create it.
  init(interface: String, under root: String = Self.root) {
    path = "\(root)/\(interface)"
    self.root = root
    self.interface = interface
  }

  /// The path of the control socket.
  var control: String { "\(path)/control" }
  /// The path of the socket for users who may only query the status.
  var status: String { "\(path)/status" }
  /// The path of the background process's log.
  var log: String { "\(path)/log" }
  private var lock: String { "\(path)/lock" }
  private var undo: String { "\(path)/undo" }

  /// Creates the folder for this user only, and locks it for this process. A device of the same
  /// name may exist in another network namespace.
  ///
  /// - Throws: ``TunnelError/inUse(interface:)`` if another process holds the lock, or
  ///   ``TunnelError/setUp(step:reason:)``.
  func claim() throws(TunnelError) -> FolderClaim {
    // The user that the tunnel becomes must be able to enter the folder.
    for (folder, mode) in [(root, 0o755), (path, 0o700)] {
      let error = czssp_own_folder(folder, CUnsignedInt(mode))
      guard error == 0 else { throw .setUp(step: "cannot use the folder \(folder)", reason: reason(error)) }
    }
    let descriptor = czssp_lock_file(lock)
    guard descriptor != -EWOULDBLOCK else { throw .inUse(interface: interface) }
    guard descriptor >= 0 else { throw .setUp(step: "cannot lock \(lock)", reason: reason(descriptor)) }
    return FolderClaim(descriptor)
  }

  /// True if a process holds the claim. False also if this user may not know.
  var isClaimed: Bool {
    let descriptor = Foundation.open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    // A shared lock, so that two checks at once do not take each other for a tunnel.
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  private func reason(_ error: CInt) -> String {
    switch error {
    case -EACCES:
      "\(String(cString: strerror(EACCES))); root is needed, or an administrator makes the folder: "
        + "'install -d -m 700 -o \(geteuid()) \(path)'"
    case -EROFS: "\(String(cString: strerror(EROFS))); it must be possible to write there, in a container --tmpfs /run"
    case -EPERM: "it is another user's, or others may write to it; remove it"
    case -ENOTDIR: "it is no folder, or a link; remove it"
    default: String(cString: strerror(-error))
    }
  }

  /// Gives the control socket to the user that the process becomes. Everything else keeps its
  /// owner, because the next start trusts it.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func give(to user: uid_t, _ group: gid_t) throws(TunnelError) {
    // An administrator may have made the folder of all tunnels accessible to root only.
    guard chmod(root, 0o755) == 0, chmod(path, 0o711) == 0, lchown(control, user, group) == 0 else {
      throw .setUp(step: "cannot give \(control) to user \(user)", reason: TunnelUser.reason(errno))
    }
  }

  /// Lets other users enter the folder to reach the status socket. They can neither list nor change
  /// it.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func open() throws(TunnelError) {
    guard chmod(root, 0o755) == 0, chmod(path, 0o711) == 0 else {
      throw .setUp(step: "cannot open the folder \(path)", reason: String(cString: strerror(errno)))
    }
  }

  /// Records what is about to be made, one line each: routes around the tunnel, rules, and name
  /// servers.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func remember(_ lines: [String]) throws(TunnelError) {
    do {
      guard !lines.isEmpty else {
        if FileManager.default.fileExists(atPath: undo) { try FileManager.default.removeItem(atPath: undo) }
        return
      }
      try PrivateFile.write(lines.map { "\($0)\n" }.joined(), to: undo, replaces: true)
    } catch {
      throw .setUp(step: "cannot write \(undo)", reason: "\(error)")
    }
  }

  /// The maximum size in bytes of the record.
  private static let undoLimit = 1 << 20

  /// Undoes what was recorded, by this process or an earlier one. What is gone already is no error.
  ///
  /// - Returns: What could not be undone.
  func undoRemembered() -> [String] {
    guard FileManager.default.fileExists(atPath: undo) else { return [] }
    var failures: [String] = []
    do {
      // Its content is executed with all privileges.
      let text = String(decoding: try PrivateFile.read(undo, limit: Self.undoLimit, isFile: true).bytes, as: UTF8.self)
      for line in text.split(separator: "\n") {
        try failures +=
          Self.undo(line, ofDevice: interface)
          ?? ["\(undo): \"\(line)\" is nothing that a tunnel makes; remove the file"]
      }
      if failures.isEmpty { try FileManager.default.removeItem(atPath: undo) }
    } catch {
      failures.append("\(undo): \(error)")
    }
    return failures
  }

  /// Undoes a line of the record.
  ///
  /// - Returns: The errors; nil if the line is invalid.
  private static func undo(_ line: Substring, ofDevice interface: String) throws(TunnelError) -> [String]? {
    if line == "names \(interface)" { return [NameServers.undo(device: interface)].compactMap(\.self) }
    if let rule = PolicyRule(line: line) {
      var failures: [String] = []
      for arguments in rule.arguments("del") {
        let result = try SystemCommand.ip(arguments, step: "undo")
        if result.exitCode != 0, !result.saysGone { failures.append("\(rule): \(result.reason)") }
      }
      return failures
    }
    guard let route = EndpointRoute(line: line) else { return nil }
    let result = try SystemCommand.ip(route.arguments("del"), step: "undo")
    return result.exitCode == 0 || result.saysGone ? [] : ["route to \(route): \(result.reason)"]
  }

  /// Removes the sockets and the lock, and the folder if it is empty then. Only the holder of the
  /// claim may call it.
  func clear() {
    unlink(control)
    unlink(status)
    unlink(lock)
    var status = stat()
    // An empty log means that the tunnel was never up.
    if stat(log, &status) == 0, status.st_size == 0 { unlink(log) }
    // A folder that is not empty stays: it has something to undo, or a log.
    rmdir(path)
  }
}

/// The lock on a tunnel's folder. It ends with the last reference, or with the process.
final class FolderClaim: Sendable {
  private let descriptor: CInt

  fileprivate init(_ descriptor: CInt) { self.descriptor = descriptor }

  deinit {
    // A process that is just being started holds copies of all descriptors, and so the lock, until
    // it runs its program.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
