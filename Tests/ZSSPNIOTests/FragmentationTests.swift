// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// Datagrams are fragmented on their way only if the options allow it.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct FragmentationTests {
    private func option(_ descriptor: CInt, level: CInt, name: CInt) -> CInt {
      var value = -1 as CInt
      var size = socklen_t(MemoryLayout<CInt>.size)
      return getsockopt(descriptor, level, name, &value, &size) == 0 ? value : -errno
    }

    // [DEC-88]
    /// All sockets of an endpoint send alike, in both families.
    @Test(arguments: [UDPOptions.Fragmentation.allowed, .forbidden], ["127.0.0.1", "::"])
    func allDatagramsAreSentAlike(fragmentation: UDPOptions.Fragmentation, host: String) async throws {
      let hasIPv6 = await hasIPv6Loopback()
      guard host != "::" || hasIPv6 else { return isNotTested("no IPv6") }
      let descriptors = SharedBox<[CInt]>([])
      var options = UDPOptions()
      options.fragmentation = fragmentation
      options.configureSocket = { descriptor in
        descriptors.update { $0.append(descriptor) }
        return 0
      }
      let endpoint = try await makeEndpoint(host: host, options: options, on: .system)
      // IP_PMTUDISC_PROBE: the flag is set, and ICMP is not believed. IP_PMTUDISC_DONT: it is not
      // set.
      let expected: CInt = fragmentation == .forbidden ? 3 : 0
      #expect(!descriptors.value.isEmpty)
      for descriptor in descriptors.value {
        #expect(option(descriptor, level: CInt(IPPROTO_IP), name: IP_MTU_DISCOVER) == expected)
        if host == "::" { #expect(option(descriptor, level: CInt(IPPROTO_IPV6), name: IPV6_MTU_DISCOVER) == expected) }
      }
      await endpoint.close()
    }

    // [DEC-88]
    @Test(arguments: [UDPOptions.Fragmentation.allowed, .forbidden])
    func channelsToo(fragmentation: UDPOptions.Fragmentation) async throws {
      var options = UDPOptions()
      options.fragmentation = fragmentation
      let pair = try await Pair.connected(options: options, on: .channels)
      try await exchange(pair, count: 3, largest: 5000, seed: 88)
      await pair.close()
    }

    // [DEC-87]
    /// Messages that do not fit the local network device are sent in smaller datagrams from then
    /// on.
    @Test(arguments: [true, false]) func theLocalDeviceIsNarrow(segments: Bool) async throws {
      var options = UDPOptions()
      options.fragmentation = .forbidden
      options.segmentationOffload = segments
      options.refusePiece = { size, isSegmented in isSegmented || size > 1300 ? EMSGSIZE : 0 }
      let server = try await makeEndpoint(on: .system)
      let client = try await makeEndpoint(options: options, on: .system)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let pair = Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
      let message = [UInt8](repeating: 5, count: 1350)
      try await pair.clientSession.send(message)
      while await pair.clientSession.snapshot()?.datagramLimit == nil { try await Task.sleep(for: .milliseconds(1)) }
      #expect(await pair.clientSession.snapshot()?.datagramLimit == Settings.smallestDatagramLimit)
      try await pair.clientSession.send(message)
      var received = pair.serverSession.messages.makeAsyncIterator()
      #expect(await received.next() == message)
      // The application may know better.
      #expect(await pair.clientSession.setDatagramLimit(1290) == 1290)
      #expect(await pair.clientSession.setDatagramLimit(nil) == 1400)
      await pair.close()
      #expect(await pair.clientSession.setDatagramLimit(nil) == nil)
    }
  }
#endif
