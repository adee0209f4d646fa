// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation

/// The user that a tunnel becomes after its set-up.
public struct TunnelUser: Sendable {
  private let name: String
  /// The id of the user.
  public let user: UInt32
  private let group: UInt32

  /// Looks up a user.
  ///
  /// - Throws: ``TunnelError/refused(_:)`` if the user does not exist.
  public init(_ name: String) throws(TunnelError) {
    var user = 0 as UInt32
    var group = 0 as UInt32
    let error = czssp_find_user(name, &user, &group)
    guard error == 0 else {
      throw .refused(
        "user \"\(name)\": \(error == -ENOENT ? "there is no such user" : String(cString: strerror(-error)))")
    }
    self.name = name
    self.user = user
    self.group = group
  }

  /// Returns true if the user may write to a file or in a folder; nil if only root can tell.
  public func mayWrite(_ path: String) -> Bool? {
    let answer = czssp_may_write(user, group, path)
    return answer < 0 ? nil : answer == 1
  }

  /// Returns the reason why the process cannot become another user.
  static func reason(_ error: CInt) -> String {
    let text = String(cString: strerror(error))
    return error == EPERM ? "\(text); root, or CAP_SETUID, CAP_SETGID and CAP_CHOWN, is needed for 'user'" : text
  }

  /// Becomes this user permanently.
  func become(_ folder: RunFolder) throws(TunnelError) {
    try folder.give(to: user, group)
    let error = czssp_become(user, group)
    guard error == 0 else { throw .setUp(step: "cannot become \(name)", reason: Self.reason(-error)) }
  }
}

/// A group of users.
public struct TunnelGroup: Sendable {
  /// The id of the group.
  public let number: UInt32

  /// Looks up a group.
  ///
  /// - Throws: ``TunnelError/refused(_:)`` if the group does not exist.
  public init(_ name: String) throws(TunnelError) {
    var group = 0 as UInt32
    let error = czssp_find_group(name, &group)
    guard error == 0 else {
      throw .refused(
        "group \"\(name)\": \(error == -ENOENT ? "there is no such group" : String(cString: strerror(-error)))")
    }
    number = group
  }
}
