// SPDX-License-Identifier: Apache-2.0

/// The routing table that the routes to peers go to.
public enum RoutingTable: Sendable, Hashable {
  /// The main table; default routes go to a table of their own, which datagrams of the tunnel itself pass by, because they have a mark.
  case auto
  /// The main table; default routes as two halves, and routes around the tunnel for endpoints.
  case main
  /// None: no routes are made.
  case off
  /// This table, 1 to 2^32 - 1. Rules that lead to it are the administrator's.
  case number(UInt32)

  /// Reads `auto`, `main`, `off` or a number; nil for anything else.
  public init?(_ text: String) {
    switch text {
    case "auto": self = .auto
    case "main": self = .main
    case "off": self = .off
    default:
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt32(text), number > 0 else {
        return nil
      }
      self = .number(number)
    }
  }

  /// Whether the route to a prefix would take packets for an endpoint among its addresses into the tunnel, those of the tunnel too.
  func covers(_ prefix: IPPrefix) -> Bool {
    switch self {
    case .main: true
    case .auto: prefix.length > 0
    case .off, .number: false
    }
  }
}
