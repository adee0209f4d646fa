// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import ZSSP

/// A network device whose packets come to this process, and whose packets this process makes. It is gone, with its addresses and
/// routes, when the last reference to it goes or the process ends.
final class TunDevice: Sendable {
  let descriptor: CInt
  let name: String
  /// What super-packets the system takes and gives.
  let segmentsTCP: Bool
  let segmentsUDP: Bool

  /// Makes a device.
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

  /// A device that is open already. The descriptor is closed with it.
  init(descriptor: CInt, name: String, segmentsTCP: Bool, segmentsUDP: Bool) {
    (self.descriptor, self.name) = (descriptor, name)
    (self.segmentsTCP, self.segmentsUDP) = (segmentsTCP, segmentsUDP)
  }

  deinit { close(descriptor) }

  /// Whether the system has no IPv6 for this device.
  var isIPv6Off: Bool {
    let path = "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6"
    // A system without IPv6 has no such file.
    guard let value = try? String(contentsOfFile: path, encoding: .utf8) else { return true }
    return value.hasPrefix("1")
  }

  /// Packets that the system dropped because they were not read in time.
  var dropped: UInt64 { czssp_tun_dropped(name) }

  /// Reads a packet and the header in front of it.
  ///
  /// - Returns: the bytes of both; nil when there is none for now.
  /// - Throws: ``TunnelError/deviceFailed(interface:reason:)`` if there will be none any more: somebody has removed the device.
  func read(into buffer: inout [UInt8]) throws(TunnelError) -> Int? {
    let count = buffer.withUnsafeMutableBytes { czssp_tun_read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 || count == -Int(EAGAIN) else {
      throw .deviceFailed(interface: name, reason: String(cString: strerror(CInt(-count))))
    }
    return count > VirtioHeader.size ? count : nil
  }

  /// Writes a packet with the header in front of it. Says whether the system took it.
  func write(_ bytes: RawSpan) -> Bool {
    bytes.withUnsafeBytes { czssp_tun_write(descriptor, $0.baseAddress, $0.count) } == bytes.byteCount
  }
}
