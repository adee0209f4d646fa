// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The shard of each session, attempt and socket.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct ShardRuleTests {
  private func handle(_ shards: Int) async throws -> EndpointHandle {
    var options = UDPOptions()
    options.shards = shards
    return try await EndpointHandle.bind(
      to: try SocketAddress(hostAndPort: "127.0.0.1:0"), configuration: makeConfiguration(),
      store: VolatileRatchetStore(), options: options, group: UDPEndpoint.defaultEventLoopGroup)
  }

  /// A new session with a peer opens in the shard of the present one, wherever the peer is now.
  @Test func attemptsGoWhereThePeersSessionIs() async throws {
    let handle = try await handle(4)
    let key = makeConfiguration().staticKey.publicKey
    let id = try PlainHandshake().session
    for port in 1...16 as ClosedRange<UInt16> {
      let request = ConnectRequest(
        address: Address(ipv4: 0x7F00_0001, port: port), key: key, identity: [], flags: nil, timeout: nil)
      let shard = Int(port) % 4
      let place = PeerDirectory.Place(shard: shard, session: id)
      _ = handle.directory.establish(place, with: key)
      #expect(handle.shard(for: request).index == shard)
      handle.directory.end(place, with: key)
      #expect(handle.shard(for: request).index == request.address.shard(of: 4))
    }
    handle.close()
    try await handle.closed.get()
  }

  /// The kernel puts datagrams of one sender together before it steers them, by the first: the
  /// others may be for other shards.
  @Test(arguments: [false, true]) func datagramsThatWerePutTogetherAreTakenApart(isSteered: Bool) async throws {
    let handle = try await handle(2)
    // Two that are for shard 0, and between them one for shard 1.
    let datagrams = [2, 1, 4].map { keyID -> [UInt8] in [0, 0, 0, UInt8(keyID)] + [UInt8](repeating: 9, count: 60) }
    let counters = await handle.shards[0].ask { driver in
      var bytes = datagrams.flatMap { $0 }
      bytes.withUnsafeMutableBytes {
        driver.receive($0, segmentSize: 64, from: Address(ipv4: 1, port: 1), isSteered: isSteered)
      }
      return (driver.counters.handedOver, driver.endpoint.statistics.datagramsReceived)
    }
    #expect(counters?.0 == 1 && counters?.1 == 2)
    // It is told after this was asked, so that it has it when it answers.
    let other = await handle.shards[1].ask { driver in driver.endpoint.statistics.datagramsReceived }
    #expect(other == 1)
    handle.close()
    try await handle.closed.get()
  }

  /// Anyone can send some datagrams that have to be handed over.
  @Test func bytesThatAreHandedOverAreBounded() {
    let queue = CrossShardQueue(limit: 100, byteLimit: 250)
    var bytes = [UInt8](repeating: 1, count: 100)
    func append() -> CrossShardQueue.Outcome {
      bytes.withUnsafeMutableBytes { queue.append($0, from: Address(ipv4: 1, port: 2)) }
    }
    #expect(append() == .queuedFirst && append() == .queued && append() == .dropped)
    #expect(queue.take().count == 2)
    // There is room again, and the shard is told again.
    #expect(append() == .queuedFirst && append() == .queued && append() == .dropped)
  }

  /// An address of a link says nothing without the link.
  @Test func theScopeOfAnAddressIsKept() throws {
    let address = Address(ipv6: 0xFE80 << 48, 1, port: 7, scope: 3)
    #expect(try #require(Address(SocketAddress(address))) == address)
    #expect(try #require(Address(SocketAddress(address))).scope == 3)
  }
}
