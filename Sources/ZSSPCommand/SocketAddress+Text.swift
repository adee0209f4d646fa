// SPDX-License-Identifier: Apache-2.0
import NIOCore

extension SocketAddress {
  /// The address as people write it: 192.0.2.1:4000 or [2001:db8::1]:4000.
  var text: String {
    guard let host = ipAddress, let port else { return description }
    return `protocol` == .inet6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
