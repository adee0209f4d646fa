// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The addresses that a socket can send to.
@Suite(.tags(.fast))
struct ReachTests {
  /// The address of the socket, the destination, and the form in which the socket names it.
  @Test(
    arguments: [
      ("0.0.0.0:1", "192.0.2.1:2", "192.0.2.1:2"), ("127.0.0.1:1", "[::ffff:192.0.2.1]:2", "192.0.2.1:2"),
      ("127.0.0.1:1", "[::1]:2", nil), ("[::]:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:2"),
      ("[::]:1", "[::1]:2", "[::1]:2"),
      ("[::1]:1", "[2001:db8::1]:2", "[2001:db8::1]:2"), ("[::1]:1", "127.0.0.1:2", nil),
      ("[::1]:1", "[::ffff:127.0.0.1]:2", nil), ("[::ffff:127.0.0.1]:1", "127.0.0.2:2", "[::ffff:127.0.0.2]:2"),
      ("[::ffff:127.0.0.1]:1", "[::1]:2", nil),
    ] as [(String, String, String?)])
  func kinds(local: String, remote: String, expected: String?) throws {
    let local = try SocketAddress(hostAndPort: local)
    let remote = try SocketAddress(hostAndPort: remote)
    let name = local.name(of: try #require(Address(remote)))
    #expect(try name == expected.map { try #require(Address(SocketAddress(hostAndPort: $0))) })
    #expect(local.reaches(remote) == (expected != nil))
  }

  @Test func whatIsOfTheOtherKindIsRefused() async throws {
    let v4 = try SocketAddress(hostAndPort: "0.0.0.0:1")
    await #expect(throws: UDPError.self) {
      try await SocketAddress.resolve(hostAndPort: "[2001:db8::1]:2", reachableFrom: v4)
    }
    let address = try await SocketAddress.resolve(hostAndPort: "192.0.2.1:2", reachableFrom: v4)
    #expect(try address == SocketAddress(hostAndPort: "192.0.2.1:2"))
    // Whatever else the name has, it has this.
    let local = try await SocketAddress.resolve(hostAndPort: "localhost:7", reachableFrom: v4)
    #expect(local.ipAddress == "127.0.0.1" && local.port == 7)
    await #expect(throws: UDPError.self) {
      try await SocketAddress.resolve(hostAndPort: "no-such-host.invalid:2", reachableFrom: v4)
    }
  }
}
