// SPDX-License-Identifier: Apache-2.0
public import ZSSPNIO

/// An error of a tunnel, or of a request to it.
public enum TunnelError: Error, CustomStringConvertible {
  /// A step of the set-up failed.
  case setUp(step: String, reason: String)
  /// A device of this name exists already.
  case inUse(interface: String)
  /// No tunnel of this name is running here, or this user may not control it.
  case notRunning(interface: String, reason: String)
  /// A hook ended with an exit code other than 0.
  case hookFailed(command: String, exitCode: Int32)
  /// The network device was removed, or cannot be read any more.
  case deviceFailed(interface: String, reason: String)
  /// The tunnel refused a request. The text says why.
  case refused(String)
  /// A request was not executed, or not as a whole, because the system does not allow it now. The
  /// text says what was done, and what failed.
  case incomplete(String)
  /// The endpoint cannot be made, or failed permanently.
  case endpoint(UDPError)

  /// The error as text.
  public var description: String {
    switch self {
    case .setUp(let step, let reason): "\(step): \(reason)"
    case .inUse(let interface):
      "\(interface): a tunnel or another device has this name; end it ('zssp tunnel down'), or set another interface"
    case .notRunning(let interface, let reason): "\(interface): no tunnel of this name can be reached: \(reason)"
    case .hookFailed(let command, let code): "the hook \"\(command)\" ended with exit code \(code)"
    case .deviceFailed(let interface, let reason): "the network device \(interface) failed: \(reason)"
    case .refused(let reason), .incomplete(let reason): reason
    case .endpoint(let error): "\(error)"
    }
  }
}
