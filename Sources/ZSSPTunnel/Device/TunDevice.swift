// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import ZSSP

/// A TUN device, whose packets this process reads and writes. It disappears, with its addresses and
/// routes, when the last reference is released or the process ends.
final class TunDevice: Sendable {
  let descriptor: CInt
  let name: String
  /// The kinds of super-packets that the system exchanges.
  let segmentsTCP: Bool
  let segmentsUDP: Bool
  /// True if an administrator has prepared the device for this user. Such a device stays, and its
  /// addresses and routes belong to the administrator.
  let isPrepared: Bool

  /// Makes a device, or uses the one that was prepared for a user who may not make devices.
  init(name: String, offload: Bool) throws(TunnelError) {
    var tun = czssp_tun()
    let error = czssp_tun_open(name, offload, &tun)
    guard error != -EBUSY, error != -EEXIST else { throw .inUse(interface: name) }
    guard error == 0 else {
      throw .setUp(
        step: "cannot make the network device \(name)",
        reason: tun.has_driver ? Self.reason(of: -error, name: name) : Self.driverReason(-error))
    }
    isPrepared = tun.is_prepared
    descriptor = tun.descriptor
    segmentsTCP = tun.segments_tcp
    segmentsUDP = tun.segments_udp
    self.name = withUnsafeBytes(of: tun.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Returns the reason why /dev/net/tun cannot be opened.
  private static func driverReason(_ error: CInt) -> String {
    let text = "/dev/net/tun: \(String(cString: strerror(error)))"
    switch error {
    case ENOENT, ENXIO, ENODEV:
      return "\(text); 'modprobe tun' loads the driver, and a container needs --device /dev/net/tun"
    case EPERM: return "\(text); a container needs --device /dev/net/tun, and a service DeviceAllow=/dev/net/tun rw"
    case EACCES: return "\(text); 'chmod 666 /dev/net/tun' lets all users open it, who can do nothing with it alone"
    default: return text
    }
  }

  /// Returns the reason why the driver refuses the device.
  private static func reason(of error: CInt, name: String) -> String {
    let text = String(cString: strerror(error))
    switch error {
    case EPERM:
      return "\(text); root or CAP_NET_ADMIN is needed, in a container --cap-add NET_ADMIN --device /dev/net/tun; "
        + "or an administrator prepares the device: 'ip tuntap add dev \(name) mode tun user \(userName)'"
    case EACCES:
      return "it was prepared for another user than \(userName); "
        + "'ip tuntap add dev \(name) mode tun user \(userName)' prepares it"
    default: return text
    }
  }

  /// The name of this user; the number if there is no name.
  private static var userName: String {
    guard let entry = getpwuid(geteuid()), let name = entry.pointee.pw_name else { return "\(geteuid())" }
    return String(cString: name)
  }

  /// Makes a device from an open descriptor, which is closed with it.
  init(descriptor: CInt, name: String, segmentsTCP: Bool, segmentsUDP: Bool) {
    self.descriptor = descriptor
    self.name = name
    self.segmentsTCP = segmentsTCP
    self.segmentsUDP = segmentsUDP
    isPrepared = false
  }

  deinit { close(descriptor) }

  /// True if the system has no IPv6 for this device.
  var isIPv6Off: Bool {
    let path = "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6"
    // A system without IPv6 has no such file.
    guard let value = try? String(contentsOfFile: path, encoding: .utf8) else { return true }
    return value.hasPrefix("1")
  }

  /// The number of packets that the system dropped because they were not read in time.
  var dropped: UInt64 { czssp_tun_dropped(name) }

  /// Reads a packet with its virtio header.
  ///
  /// - Returns: The total number of bytes; nil if no packet is ready.
  /// - Throws: ``TunnelError/deviceFailed(interface:reason:)`` if the device cannot be read any
  ///   more, because it was removed.
  func read(into buffer: inout [UInt8]) throws(TunnelError) -> Int? {
    let count = buffer.withUnsafeMutableBytes { czssp_tun_read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 || count == -Int(EAGAIN) else {
      throw .deviceFailed(interface: name, reason: String(cString: strerror(CInt(-count))))
    }
    return count > VirtioHeader.size ? count : nil
  }

  /// Writes a packet with its virtio header. Returns true if the system took it.
  func write(_ bytes: RawSpan) -> Bool {
    bytes.withUnsafeBytes { czssp_tun_write(descriptor, $0.baseAddress, $0.count) } == bytes.byteCount
  }
}
