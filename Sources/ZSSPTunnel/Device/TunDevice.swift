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

  /// Makes a device.
  ///
  /// - Throws: ``TunnelError/inUse(interface:)`` or ``TunnelError/setUp(step:reason:)``.
  init(name: String, offload: Bool) throws(TunnelError) {
    var tun = czssp_tun()
    let error = czssp_tun_open(name, offload, &tun)
    guard error != -EBUSY, error != -EEXIST else { throw .inUse(interface: name) }
    guard error == 0 else {
      throw .setUp(step: "cannot make the network device \(name)", reason: Self.reason(-error))
    }
    descriptor = tun.descriptor
    segmentsTCP = tun.segments_tcp
    segmentsUDP = tun.segments_udp
    self.name = withUnsafeBytes(of: tun.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private static func reason(_ error: CInt) -> String {
    let text = String(cString: strerror(error))
    switch error {
    case ENOENT, ENXIO, ENODEV:
      return "/dev/net/tun: \(text); 'modprobe tun' loads the driver, and a container needs --device /dev/net/tun"
    case EPERM, EACCES:
      return "\(text); root or CAP_NET_ADMIN is needed, in a container --cap-add NET_ADMIN --device /dev/net/tun"
    default: return text
    }
  }

  /// Wraps an open device. The descriptor is closed with this object.
  init(descriptor: CInt, name: String, segmentsTCP: Bool, segmentsUDP: Bool) {
    self.descriptor = descriptor
    self.name = name
    self.segmentsTCP = segmentsTCP
    self.segmentsUDP = segmentsUDP
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
