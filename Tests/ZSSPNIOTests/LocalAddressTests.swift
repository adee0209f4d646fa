// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// A host with several addresses: the loopback device has millions.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
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
    /// Strangers who send to many addresses take numbers from each other, and not from sessions.
    @Test func numbersInUseStay() {
      let locals = LocalAddresses { Instant(nanoseconds: 0) }
      let held: Set<UInt8> = [3, 77, 255]
      locals.inUse = { (0...LocalAddresses.limit).map { held.contains(UInt8($0)) } }
      for low in 1...255 as ClosedRange<UInt64> { _ = locals.index(of: local(low)) }
      let generation = locals.generation
      for low in 1000...5000 as ClosedRange<UInt64> {
        let index = locals.index(of: local(low))
        #expect(index != 0 && !held.contains(index) && locals[index]?.pointee.low == low)
      }
      #expect(locals.generation != generation)
      for index in held {
        #expect(locals[index]?.pointee.low == UInt64(index) && locals.index(of: local(UInt64(index))) == index)
      }
    }

    // [DEC-86]
    /// A check of all sessions takes time, so strangers can cause only a limited number.
    @Test func looksAtSessionsArePaced() {
      var now = Instant(nanoseconds: 0)
      var looks = 0
      let locals = LocalAddresses { now }
      locals.inUse = {
        looks += 1
        now = now.advanced(by: .milliseconds(1))
        return [Bool](repeating: true, count: LocalAddresses.limit + 1)
      }
      for low in 1...1000 as ClosedRange<UInt64> { _ = locals.index(of: local(low)) }
      #expect(looks == 1)
      for _ in 0..<99 {
        now = now.advanced(by: .milliseconds(1))
        _ = locals.index(of: local(1001))
      }
      #expect(looks == 5)
      // What is free again is given out at the next look.
      locals.inUse = { [Bool](repeating: false, count: LocalAddresses.limit + 1) }
      now = now.advanced(by: .seconds(1))
      #expect(locals.index(of: local(1001)) == 1 && locals.index(of: local(1000)) == 2)
    }

    // [DEC-86]
    /// A host with a session at one of its addresses is sent to at a thousand others by strangers,
    /// and then reached at another by a peer.
    @Test(arguments: [1, 4]) func strangersUseUpNoNumbers(shards: Int) async throws {
      let pair = try await connected("0.0.0.0", asked: "127.0.0.7", shards: shards)
      let port = UInt16(try #require(pair.server.localAddress.port))
      let strangers = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
      try #require(strangers >= 0)
      defer { close(strangers) }
      for number in 0..<1000 as Range<UInt32> {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = (0x7F01_0000 + number).bigEndian
        // With and without key id 0: for the socket of Hellos, and the other.
        for bytes in [[UInt8](repeating: 0, count: 100), [UInt8](repeating: 9, count: 100)] {
          let sent = withUnsafeBytes(of: &name) {
            sendto(strangers, bytes, bytes.count, 0, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, 16)
          }
          #expect(sent == bytes.count)
        }
        // The answer shows that all earlier datagrams were read.
        if number.isMultiple(of: 50) { try await exchange(pair, count: 1, largest: 100, seed: UInt64(number)) }
      }
      let client = try await makeEndpoint(host: "127.0.0.1", on: .system)
      async let accepted = acceptFirst(pair.server)
      let session = try await client.connect(
        to: try SocketAddress(ipAddress: "127.0.0.8", port: Int(port)), key: pair.server.publicKey)
      let other = Pair(client: client, server: pair.server, clientSession: session, serverSession: try await accepted)
      try await exchange(other, count: 3, largest: 5000, seed: 89)
      #expect(session.remoteAddress.ipAddress == "127.0.0.8")
      try await exchange(pair, count: 3, largest: 5000, seed: 90)
      #expect(pair.clientSession.remoteAddress.ipAddress == "127.0.0.7")
      await client.close()
      await pair.close()
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
      _ listen: String, asked: String, shards: Int = 1, policy: HelloPolicy = .automatic()
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
    /// An answer from another address than the client used would move the client's session there.
    @Test(arguments: ["0.0.0.0", "::"], [1, 4])
    func answersLeaveFromTheAddressThatWasAsked(listen: String, shards: Int) async throws {
      let hasIPv6 = await hasIPv6Loopback()
      guard listen == "0.0.0.0" || hasIPv6 else { return isNotTested("no IPv6") }
      let pair = try await connected(listen, asked: "127.0.0.7", shards: shards)
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
      let pair = try await connected("0.0.0.0", asked: "127.0.0.9", policy: .challenge)
      try await exchange(pair, count: 3, largest: 100, seed: 87)
      #expect(pair.clientSession.remoteAddress.ipAddress == "127.0.0.9")
      await pair.close()
    }

    // [DEC-86]
    @Test func addressesOfIPv6() async throws {
      guard await hasIPv6Loopback() else { return isNotTested("no IPv6") }
      let pair = try await connected("::", asked: "::1")
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
