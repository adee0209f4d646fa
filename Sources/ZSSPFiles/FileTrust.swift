// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The rule by which the content of a file is believed: nobody but root and ourselves can have written it.
///
/// Root's own privileges do not matter: a file of another user is refused to root too, who would obey that user.
package struct FileTrust: Sendable {
  /// The user that this process acts as.
  package let user: UInt32
  /// The users whose files are believed.
  package let owners: Set<UInt32>

  /// The rule for a process of `user`.
  ///
  /// - Parameters:
  ///   - user: the user that the process acts as; its effective user by default.
  ///   - other: one more user who is believed, as whom the process will act later.
  package init(user: UInt32 = geteuid(), other: UInt32? = nil) {
    self.user = user
    owners = Set([0, user] + [other].compactMap(\.self))
  }

  /// Returns why a file is refused, and what to do; nil if it is believed.
  package func refusal(of path: String, owner: UInt32, mode: UInt32) -> FileFailure? {
    guard owners.contains(owner) else {
      let others = user == 0 ? "root" : "root or user \(user)"
      return FileFailure(
        .untrusted, path, "belongs to user \(owner), not to \(others); 'chown \(user) \(path)' if its content is yours")
    }
    guard mode & 0o022 == 0 else {
      return FileFailure(
        .untrusted, path, "others can write to it (mode \(Self.octal(mode))); look at it, and then 'chmod 600 \(path)'")
    }
    return nil
  }

  /// Returns why a file in a folder is refused: others can replace it. With the sticky bit they cannot.
  package func refusal(of path: String, in folder: String, mode: UInt32) -> FileFailure? {
    guard mode & 0o022 != 0, mode & 0o1000 == 0 else { return nil }
    return FileFailure(
      .untrusted, path,
      "others can replace it, because they can write to its folder (mode \(Self.octal(mode))); 'chmod go-w \(folder)'")
  }

  /// Returns what to warn of: others can read a file with secrets. A file of root's that we can read only as a member of its group
  /// is readable by that group on purpose.
  package func warning(of path: String, owner: UInt32, mode: UInt32) -> String? {
    let isByGroup = owner == user || user == 0
    guard mode & 0o004 != 0 || mode & 0o040 != 0 && isByGroup else { return nil }
    return "\(path): others can read it (mode \(Self.octal(mode))); 'chmod 600 \(path)', and replace the secrets in it"
  }

  private static func octal(_ mode: UInt32) -> String { String(mode & 0o7777, radix: 8) }
}
