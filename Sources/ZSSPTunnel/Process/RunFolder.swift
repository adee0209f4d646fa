// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import ZSSPFiles

/// The folder of a running tunnel, `/run/zssp/NAME`: its lock, its control socket, its log, and how to undo what does not go with its device.
///
/// What has to be undone is written down before it is done. So it is undone at the next start at the latest, whatever ended the process.
/// It is undone with all privileges: nobody else may write here, whoever the process becomes.
struct RunFolder {
  /// The folder of all tunnels.
  static let root = "/run/zssp"

  let path: String
  private let root: String
  private let interface: String

  /// The folder of a device's name.
  init(interface: String, under root: String = Self.root) {
    (path, self.root, self.interface) = ("\(root)/\(interface)", root, interface)
  }

  /// The control socket.
  var control: String { "\(path)/control" }
  /// The socket for those who may ask for the status.
  var status: String { "\(path)/status" }
  /// What the process in the background has to say.
  var log: String { "\(path)/log" }
  private var lock: String { "\(path)/lock" }
  private var undo: String { "\(path)/undo" }

  /// Makes the folder for this user alone, and has it for this process alone: a device of this name may be in another network namespace.
  ///
  /// - Throws: ``TunnelError/inUse(interface:)`` if another process has it.
  func claim() throws(TunnelError) -> FolderClaim {
    // Whom a tunnel becomes must be able to go through.
    for (folder, mode) in [(root, 0o755), (path, 0o700)] {
      let error = czssp_own_folder(folder, CUnsignedInt(mode))
      guard error == 0 else { throw .setUp(step: "cannot use the folder \(folder)", reason: reason(error)) }
    }
    let descriptor = czssp_lock_file(lock)
    guard descriptor != -EWOULDBLOCK else { throw .inUse(interface: interface) }
    guard descriptor >= 0 else { throw .setUp(step: "cannot lock \(lock)", reason: reason(descriptor)) }
    return FolderClaim(descriptor)
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

  /// Gives the control socket to the user that the process becomes. The rest stays who made it: the next start believes it.
  func give(to user: uid_t, _ group: gid_t) throws(TunnelError) {
    // Somebody may have made the folder of all tunnels for root alone.
    guard chmod(root, 0o755) == 0, chmod(path, 0o711) == 0, lchown(control, user, group) == 0 else {
      throw .setUp(step: "cannot give \(control) to user \(user)", reason: TunnelUser.reason(errno))
    }
  }

  /// Has others pass through the folder to the status socket. Nobody else can list or change it.
  func open() throws(TunnelError) {
    guard chmod(root, 0o755) == 0, chmod(path, 0o711) == 0 else {
      throw .setUp(step: "cannot open the folder \(path)", reason: String(cString: strerror(errno)))
    }
  }

  /// Writes down what is about to be made, a line each: routes around the tunnel, rules, and name servers.
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

  /// The most bytes of a file that says what to undo.
  private static let undoLimit = 1 << 20

  /// Undoes what was written down, by this process or one before it. What is gone already does no harm.
  ///
  /// - Returns: what could not be undone.
  func undoRemembered() -> [String] {
    guard FileManager.default.fileExists(atPath: undo) else { return [] }
    var failures: [String] = []
    do {
      // It is obeyed with all privileges.
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

  /// Undoes one line.
  ///
  /// - Returns: what went wrong; nil if the line is nothing that a tunnel makes.
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

  /// Removes the sockets and the lock, and the folder if nothing else is in it. Only for who has the claim.
  func clear() {
    unlink(control)
    unlink(status)
    unlink(lock)
    var status = stat()
    // A log in which nothing was written: the tunnel was never up.
    if stat(log, &status) == 0, status.st_size == 0 { unlink(log) }
    // A folder with something in it stays: there is something to undo, or a log to read.
    rmdir(path)
  }
}

/// The right to a folder of a tunnel. It ends with the last reference, or with the process.
final class FolderClaim: Sendable {
  private let descriptor: CInt

  fileprivate init(_ descriptor: CInt) { self.descriptor = descriptor }

  deinit {
    // A process that is just being started has all descriptors until it runs its program, and with them the lock.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
