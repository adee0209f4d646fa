// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Glibc
  import NIOCore
  import Testing
  import ZSSP

  @testable import ZSSPNIO

  /// A host with several addresses: the loopback device has millions.
  @Suite(.timeLimit(.minutes(20)))
  struct LocalAddressTests {
    private func local(_ low: UInt64, family: UInt8 = 4) -> czssp_local {
      czssp_local(high: 0, low: low, interface: 0, family: family)
    }

    // [DEC-86]
    @Test func numbersStandForOneAddress() {
      let locals = LocalAddresses()
      #expect(locals.index(of: local(0, family: 0)) == 0 && locals[0] == nil)
      #expect((1...3).map { locals.index(of: local($0)) } == [1, 2, 3])
      #expect((1...3).map { locals.index(of: local($0)) } == [1, 2, 3])
      #expect(locals.index(of: local(1, family: 6)) == 4)
      #expect(locals[2]?.pointee.low == 2 && locals[2].map(locals.index) == 2)
    }

    // [DEC-86]
    /// A host that has a whole network as its own cannot be made to remember all of it.
    @Test func numbersEnd() {
      let locals = LocalAddresses()
      for low in 1...1000 as ClosedRange<UInt64> {
        #expect(locals.index(of: local(low)) == (low <= 255 ? UInt8(low) : 0))
      }
      #expect(locals.index(of: local(7)) == 7)
    }

    // [DEC-86]
    @Test func anAddressThatIsGoneComesBack() {
      let gone = GoneAddresses()
      #expect(gone.isEmpty && !gone.contains(3))
      gone.insert(3)
      gone.insert(255)
      gone.remove(4)
      #expect(gone.contains(3) && gone.contains(255) && !gone.contains(4))
      gone.remove(3)
      #expect(!gone.isEmpty && !gone.contains(3))
      gone.remove(255)
      #expect(gone.isEmpty)
    }

    /// Connects to a server that has all addresses, at one of them.
    private func connected(
      _ listen: String, _ asked: String, shards: Int = 1, policy: HelloPolicy = .automatic()
    ) async throws -> Pair {
      var options = UDPOptions()
      options.shards = shards
      let server = try await makeEndpoint(host: listen, helloPolicy: policy, options: options, on: .system)
      let client = try await makeEndpoint(host: asked.contains(":") ? "::1" : "127.0.0.1", on: .system)
      let port = try #require(server.localAddress.port)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(
        to: try SocketAddress(ipAddress: asked, port: port), key: server.publicKey)
      return Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
    }

    // [DEC-86]
    /// What comes from another address than the one that was asked would move the client's session there.
    @Test(arguments: ["0.0.0.0", "::"], [1, 4])
    func answersLeaveFromTheAddressThatWasAsked(listen: String, shards: Int) async throws {
      let hasIPv6 = await hasIPv6Loopback()
      guard listen == "0.0.0.0" || hasIPv6 else { return isNotTested("no IPv6") }
      let pair = try await connected(listen, "127.0.0.7", shards: shards)
      // Single datagrams, runs of several, and large messages.
      try await exchange(pair, count: 20, largest: 20_000, seed: 86)
      let messages = (0..<64).map { [UInt8](repeating: UInt8($0), count: 1000) }
      try await pair.serverSession.send(contentsOf: messages)
      var received = pair.clientSession.messages.makeAsyncIterator()
      for message in messages { #expect(await received.next() == message) }
      #expect(pair.clientSession.remoteAddress.ipAddress == "127.0.0.7")
      let statistics = await pair.server.statistics().transport
      #expect(statistics.sendErrors == 0)
      if statistics.isUsingSegmentationOffload { #expect(statistics.superDatagramsSent > 0) }
      await pair.close()
    }

    // [DEC-86]
    @Test func challengesToo() async throws {
      let pair = try await connected("0.0.0.0", "127.0.0.9", policy: .challenge)
      try await exchange(pair, count: 3, largest: 100, seed: 87)
      #expect(pair.clientSession.remoteAddress.ipAddress == "127.0.0.9")
      await pair.close()
    }

    // [DEC-86]
    @Test func addressesOfIPv6() async throws {
      guard await hasIPv6Loopback() else { return isNotTested("no IPv6") }
      let pair = try await connected("::", "::1")
      try await exchange(pair, count: 3, largest: 5000, seed: 88)
      #expect(pair.clientSession.remoteAddress.ipAddress == "::1")
      await pair.close()
    }

    // [DEC-86]
    @Test func addressesOfThisHost() {
      #expect(local(0x7F00_0001).exists && local(0x7F00_0007).exists)
      // 203.0.113.9, for documentation.
      #expect(!local(0xCB00_7109).exists && !local(0xFFFF_CB00_7109, family: 6).exists)
    }
  }
#endif
