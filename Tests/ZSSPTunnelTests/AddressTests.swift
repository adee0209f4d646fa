// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

@testable import ZSSPTunnel

/// Addresses that are the same place, and those that are not.
@Suite(.tags(.fast))
struct AddressTests {
  /// A socket of IPv6 names hosts of IPv4 in its own way (RFC 4291, section 2.5.5.2).
  @Test func aMappedAddressIsOneOfIPv4() throws {
    let host = try #require(IPAddress("10.1.2.3"))
    #expect(Address(ipv4: 0x0A01_0203, port: 7).ip == host)
    #expect(Address(ipv6: 0, 0xFFFF_0A01_0203, port: 7).ip == host)
    for other in [Address(ipv6: 1, 0xFFFF_0A01_0203, port: 7), Address(ipv6: 0, 0xFFFE_0A01_0203, port: 7)] {
      #expect(other.ip.family == .v6)
    }
  }

  /// Peers whose own address goes through the tunnel need a route around it, however their address
  /// is written.
  @Test func aPeerBehindAnIPv6SocketIsCoveredByPrefixesOfIPv4() throws {
    var configuration = TunnelConfiguration()
    configuration.peers = [PeerConfiguration(publicKey: StaticKey().publicKey)]
    configuration.peers[0].allowedIPs = [try #require(IPPrefix("10.0.0.0/8"))]
    #expect(NetworkPlan.isCovered(Address(ipv6: 0, 0xFFFF_0A01_0203, port: 7).ip, by: configuration))
    #expect(!NetworkPlan.isCovered(Address(ipv6: 0, 0x0A01_0203, port: 7).ip, by: configuration))
  }

  /// The prefixes 0.0.0.0/0 and ::/0 hold all addresses of their family, and none of the other.
  @Test func aPrefixHasAddressesOfItsOwnFamily() throws {
    let all4 = try #require(IPPrefix("0.0.0.0/0"))
    let all6 = try #require(IPPrefix("::/0"))
    let v4 = try #require(IPAddress("10.0.0.1"))
    let v6 = try #require(IPAddress("a00:1::"))
    #expect(all4.contains(v4) && !all4.contains(v6))
    #expect(all6.contains(v6) && !all6.contains(v4))
  }
}
