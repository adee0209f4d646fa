// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation

/// The folder of a running tunnel, `/run/zssp/NAME`: its control socket, and how to undo what does not go with its device.
///
/// What has to be undone is written down before it is done. So it is undone at the next start at the latest, whatever ended the process.
struct RunFolder {
  /// The folder of all tunnels.
  static let root = "/run/zssp"

  let path: String

  /// The folder of a device's name.
  init(interface: String) { path = "\(Self.root)/\(interface)" }

  /// The control socket.
  var control: String { "\(path)/control" }
  /// What the process in the background has to say.
  var log: String { "\(path)/log" }
  private var undo: String { "\(path)/undo" }

  /// Makes the folder for this user alone.
  func make() throws(TunnelError) {
    do {
      // Whom a tunnel becomes must be able to go through.
      try FileManager.default.createDirectory(
        atPath: Self.root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw .setUp(step: "cannot make the folder \(path)", reason: "\(error.localizedDescription)")
    }
  }

  /// Gives the folder to the user that the process becomes.
  func give(to user: uid_t, _ group: gid_t) throws(TunnelError) {
    for path in [path, control, undo] where FileManager.default.fileExists(atPath: path) {
      guard chown(path, user, group) == 0 else {
        throw .setUp(step: "cannot give \(path) to user \(user)", reason: String(cString: strerror(errno)))
      }
    }
  }

  /// Writes down the commands of `ip` that undo what is about to be done.
  func remember(_ lines: [String]) throws(TunnelError) {
    guard !lines.isEmpty else { return }
    do {
      let text = Data((lines.joined(separator: "\n") + "\n").utf8)
      try text.write(to: URL(filePath: undo), options: .atomic)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: undo)
    } catch {
      throw .setUp(step: "cannot write \(undo)", reason: "\(error.localizedDescription)")
    }
  }

  /// Undoes what was written down, by this process or one before it. What is gone already does no harm.
  ///
  /// - Returns: what could not be undone.
  func undoRemembered() -> [String] {
    guard FileManager.default.fileExists(atPath: undo) else { return [] }
    var failures: [String] = []
    do {
      let text = try String(contentsOfFile: undo, encoding: .utf8)
      for line in text.split(separator: "\n") {
        let result = try SystemCommand.ip(line.split(separator: " ").map(String.init), step: "undo")
        let isGone = result.errors.contains("No such process") || result.errors.contains("Cannot find device")
        if result.exitCode != 0, !isGone { failures.append("ip \(line): \(result.errors)") }
      }
      if failures.isEmpty { try FileManager.default.removeItem(atPath: undo) }
    } catch {
      failures.append("\(undo): \(error)")
    }
    return failures
  }

  /// Removes the control socket, and the folder if nothing else is in it.
  func clear() {
    unlink(control)
    // A folder with something in it stays: there is something to undo, or a log to read.
    rmdir(path)
  }
}
