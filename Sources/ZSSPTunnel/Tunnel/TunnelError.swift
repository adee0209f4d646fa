// SPDX-License-Identifier: Apache-2.0
public import ZSSPNIO

/// Why there is no tunnel, or why it does not do something.
public enum TunnelError: Error, CustomStringConvertible {
  /// A step of setting up failed.
  case setUp(step: String, reason: String)
  /// There is a tunnel of this name already.
  case inUse(interface: String)
  /// No tunnel of this name runs here, or it is not ours to control.
  case notRunning(interface: String, reason: String)
  /// A hook ended with another exit code than 0.
  case hookFailed(command: String, exitCode: Int32)
  /// The network device is gone, or cannot be read any more.
  case deviceFailed(interface: String, reason: String)
  /// The tunnel refuses what was asked of it.
  case refused(String)
  /// The endpoint cannot be made, or failed for good.
  case endpoint(UDPError)

  /// What went wrong, for people.
  public var description: String {
    switch self {
    case .setUp(let step, let reason): "\(step): \(reason)"
    case .inUse(let interface): "\(interface): there is a tunnel or another device of this name already"
    case .notRunning(let interface, let reason): "\(interface): no tunnel of this name can be reached: \(reason)"
    case .hookFailed(let command, let code): "the hook \"\(command)\" ended with exit code \(code)"
    case .deviceFailed(let interface, let reason): "the network device \(interface) failed: \(reason)"
    case .refused(let reason): reason
    case .endpoint(let error): "\(error)"
    }
  }
}
