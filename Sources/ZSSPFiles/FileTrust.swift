// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The rule that decides whether the content of a file is trusted: only root and this user can have
/// written it.
///
/// It applies to root, too: if root trusted the file of another user, it would obey that user.
package struct FileTrust: Sendable {
  /// The user that this process acts as.
  package let user: UInt32
  /// The users whose files are trusted.
  package let owners: Set<UInt32>

  /// Makes the rule for a process of `user`.
  ///
  /// - Parameters:
  ///   - user: The user that the process acts as. The default is its effective user.
  ///   - other: Another trusted user, as whom the process will act later; nil for none.
  package init(user: UInt32 = geteuid(), other: UInt32? = nil) {
    self.user = user
    owners = Set([0, user] + [other].compactMap(\.self))
  }

  /// Returns the reason why a file is refused, and what to do; nil if it is trusted.
  package func refusal(of path: String, owner: UInt32, mode: UInt32) -> FileFailure? {
    guard owners.contains(owner) else {
      let others = user == 0 ? "root" : "root or user \(user)"
      return FileFailure(
        .untrusted, path: path,
        reason: "belongs to user \(owner), not to \(others); 'chown \(user) \(path)' if its content is yours")
    }
    guard mode & 0o022 == 0 else {
      return FileFailure(
        .untrusted, path: path,
        reason: "others can write to it (mode \(Self.octal(mode))); look at it, and then 'chmod 600 \(path)'")
    }
    return nil
  }

  /// Returns the reason why a file in a folder is refused: others can replace it. Nil if they
  /// cannot, for example because of the sticky bit.
  package func refusal(of path: String, in folder: String, mode: UInt32) -> FileFailure? {
    guard mode & 0o022 != 0, mode & 0o1000 == 0 else { return nil }
    return FileFailure(
      .untrusted, path: path,
      reason:
        "others can replace it, because they can write to its folder (mode \(Self.octal(mode))); 'chmod go-w \(folder)'"
    )
  }

  /// Returns a warning if others can read a file that should be private; otherwise nil. If a file belongs to
  /// root, and this user can read it only as a member of its group, the group may read it on
  /// purpose.
  package func warning(of path: String, owner: UInt32, mode: UInt32) -> String? {
    let isByGroup = owner == user || user == 0
    guard mode & 0o004 != 0 || mode & 0o040 != 0 && isByGroup else { return nil }
    return "\(path): others can read it (mode \(Self.octal(mode))); 'chmod 600 \(path)'"
  }

  private static func octal(_ mode: UInt32) -> String { String(mode & 0o7777, radix: 8) }
}
