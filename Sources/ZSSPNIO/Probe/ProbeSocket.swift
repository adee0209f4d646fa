// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

#if os(Linux)
  import CZSSPSocket
#endif

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A UDP socket that is connected to one address, and keeps what the network reports about its
/// datagrams. On Linux these are sent with "don't fragment".
final class ProbeSocket {
  let descriptor: CInt
  let remote: Address
  /// The address that the system sends from.
  let local: Address?
  private var buffer = [UInt8](repeating: 0, count: Settings.largestMTU)

  private static let doNotWait = CInt(MSG_DONTWAIT)

  /// Opens and connects a socket.
  ///
  /// - Parameters:
  ///   - remote: The destination.
  ///   - source: The address to send from; nil for the system's choice. `::` is any address of the
  ///     destination's family.
  ///   - configure: Sets options, and returns an error number; 0 for success.
  /// - Throws: ``ProbeFailure``.
  init(
    to remote: Address, from source: SocketAddress?, configure: (CInt) -> CInt = { _ in 0 }
  ) throws(ProbeFailure) {
    let remote = remote.unmapped
    self.remote = remote
    let family = remote.family == .ipv4 ? AF_INET : AF_INET6
    #if canImport(Glibc)
      let descriptor = socket(family, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    #else
      let descriptor = socket(family, SOCK_DGRAM, 0)
    #endif
    guard descriptor >= 0 else { throw ProbeFailure(errno, in: "socket") }
    self.descriptor = descriptor
    if case let error = configure(descriptor), error != 0 {
      close(descriptor)
      throw ProbeFailure(error, in: "setsockopt")
    }
    #if os(Linux)
      if case let error = czssp_probe_enable(descriptor), error != 0 {
        close(descriptor)
        throw ProbeFailure(-error, in: "setsockopt")
      }
    #endif
    var failure: ProbeFailure?
    if let source = source.map({ Self.source($0, for: remote) }) {
      failure = source.withSockAddr { name, size in
        bind(descriptor, name, socklen_t(size)) == 0 ? nil : ProbeFailure(errno, in: "bind")
      }
    }
    if failure == nil {
      failure = remote.socketAddress.withSockAddr { name, size in
        connect(descriptor, name, socklen_t(size)) == 0 ? nil : ProbeFailure(errno, in: "connect")
      }
    }
    if let failure {
      close(descriptor)
      throw failure
    }
    local = Self.name(of: descriptor, family: remote.family)
  }

  deinit { close(descriptor) }

  /// Returns the address that a socket of the destination's family binds to.
  private static func source(_ source: SocketAddress, for remote: Address) -> SocketAddress {
    guard let address = Address(source)?.unmapped else { return source }
    guard address.isWildcard, address.family != remote.family else { return address.socketAddress }
    return switch remote.family {
    case .ipv4: Address(ipv4: 0, port: address.port).socketAddress
    case .ipv6: Address(ipv6: 0, 0, port: address.port).socketAddress
    }
  }

  private static func name(of descriptor: CInt, family: Address.Family) -> Address? {
    switch family {
    case .ipv4:
      var name = sockaddr_in()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let result = withUnsafeMutablePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
      }
      return result == 0 ? Address(SocketAddress(name, host: "")) : nil
    case .ipv6:
      var name = sockaddr_in6()
      var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
      let result = withUnsafeMutablePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
      }
      return result == 0 ? Address(SocketAddress(name, host: "")) : nil
    }
  }

  /// The network device that has the local address; nil if unknown.
  var interface: String? {
    #if os(Linux)
      guard let local else { return nil }
      var name = czssp_address(local)
      return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16) { text in
        guard let start = text.baseAddress, czssp_interface_of(&name, start, CInt(text.count)) == 1 else { return nil }
        return String(cString: start)
      }
    #else
      return nil
    #endif
  }

  /// The size of the largest packet that the route takes, as far as the system knows; nil if
  /// unknown.
  var pathMTU: Int? {
    #if os(Linux)
      let mtu = czssp_probe_path_mtu(descriptor)
      return mtu > 0 ? Int(mtu) : nil
    #else
      return nil
    #endif
  }

  /// The size of the headers of IP and UDP.
  var headers: Int { remote.family == .ipv4 ? 28 : 48 }

  /// Sends a datagram.
  ///
  /// - Returns: the error of the system; nil if it took the datagram. An error can also be that of
  ///   an earlier datagram.
  func send(_ datagram: [UInt8]) -> NetworkReport? {
    for _ in 0..<2 {
      let count = datagram.withUnsafeBytes { bytes in
        #if canImport(Glibc)
          Glibc.send(descriptor, bytes.baseAddress, bytes.count, Self.doNotWait)
        #elseif canImport(Musl)
          Musl.send(descriptor, bytes.baseAddress, bytes.count, Self.doNotWait)
        #else
          Darwin.send(descriptor, bytes.baseAddress, bytes.count, Self.doNotWait)
        #endif
      }
      // The first call may deliver the report about an earlier datagram.
      if count >= 0 { return nil }
    }
    let error = errno
    return NetworkReport(error: error, origin: .local, mtu: error == EMSGSIZE ? pathMTU : nil)
  }

  /// Calls `body` with each datagram that has arrived. Does not wait.
  ///
  /// - Returns: the reports that reading delivered, where the system has no queue for them.
  func receive(_ body: (inout MutableRawSpan) -> Void) -> [NetworkReport] {
    var found: [NetworkReport] = []
    for _ in 0..<64 {
      let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, Self.doNotWait) }
      if count < 0 {
        guard errno != EAGAIN, errno != EWOULDBLOCK else { break }
        // On Linux the error queue says more.
        #if !os(Linux)
          found.append(NetworkReport(error: errno, origin: nil))
        #endif
        continue
      }
      buffer.withMutableBytes { bytes in
        var datagram = bytes.slice(0..<count)
        body(&datagram)
      }
    }
    return found
  }

  /// Takes the reports that have arrived. Does not wait.
  func reports() -> [NetworkReport] {
    var found: [NetworkReport] = []
    #if os(Linux)
      var report = czssp_report()
      while found.count < 64, czssp_probe_report(descriptor, &report) == 1 {
        let reporter = Address(report.offender).flatMap { sender in
          sender.low == local?.low && sender.high == local?.high ? nil : sender
        }
        found.append(
          NetworkReport(
            error: CInt(report.error), origin: NetworkReport.Origin(rawValue: report.origin), type: report.type,
            code: report.code, reporter: reporter, mtu: Int(report.mtu)))
      }
    #endif
    return found
  }
}

/// The reason why a probe could not be sent.
package struct ProbeFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The error as the network's report.
  package let report: NetworkReport
  private let call: String
  private let error: CInt

  init(_ error: CInt, in call: String) {
    report = NetworkReport(error: error, origin: .local)
    self.call = call
    self.error = error
  }

  /// The reason why the address to send from cannot be used; nil if that is not the failure.
  var sourceFailure: BindFailure? {
    switch call {
    case "bind": return BindFailure(error: error, text: report.text)
    // Linux refuses a source on the loopback network for another host.
    case "connect" where error == EINVAL: return .other("the address to probe cannot be reached from there")
    default: return nil
    }
  }

  /// The system call, and the system's words.
  package var description: String { "\(call): \(report.text)" }
}
