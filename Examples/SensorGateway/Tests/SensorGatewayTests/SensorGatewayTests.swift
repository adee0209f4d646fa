// SPDX-License-Identifier: Apache-2.0
import SensorGateway
import SwiftZSSP
import Testing
import ZSSPTesting

/// The gateway and a sensor on a network in memory.
@Suite(.timeLimit(.minutes(20)))
struct SensorGatewayTests {
  let network = TestNetwork()
  let gatewayKey = StaticKey()
  let sensorKey = StaticKey()
  let gatewayStore = VolatileRatchetStore()
  let sensorStore = VolatileRatchetStore()

  /// A gateway, and the task that it runs in. Each reading goes to `readings`.
  private func gateway(
    _ allowed: AllowList, _ readings: AsyncStream<[UInt8]>.Continuation, at address: String = "10.0.0.2:4500"
  ) async throws -> (UDPEndpoint, Task<Void, any Error>) {
    let endpoint = try await network.endpoint(
      at: address, configuration: Site.configuration(gatewayKey), store: gatewayStore)
    let gateway = Gateway(endpoint, allowed) { _, reading in readings.yield(reading) }
    return (endpoint, Task { try await gateway.run() })
  }

  private func makeSensor() async throws -> UDPEndpoint {
    let password = OneTimePassword.generate()
    _ = try await gatewayStore.enrol(sensorKey.publicKey, with: password)
    _ = try await sensorStore.enrol(gatewayKey.publicKey, with: password)
    try network.setAddresses(["10.0.0.2:0"], of: "gw")
    return try await network.endpoint(
      at: "10.0.0.1:1000", configuration: Site.configuration(sensorKey), store: sensorStore)
  }

  @Test func readingsArriveAlsoAfterARestart() async throws {
    let (readings, sink) = AsyncStream<[UInt8]>.makeStream()
    var received = readings.makeAsyncIterator()
    let sensor = try await makeSensor()
    let (first, running) = try await gateway(AllowList([sensorKey.publicKey]), sink)
    let session = try sensor.reconnectingSession(to: "gw:4500", key: gatewayKey.publicKey)
    try await session.send([1])
    #expect(await received.next() == [1])
    #expect(await session.messages.first { _ in true } == [1])
    await first.close()
    try await running.value

    #expect(await network.advance { if case .waiting = session.state { true } else { false } })
    let (second, runningAgain) = try await gateway(AllowList([sensorKey.publicKey]), sink)
    let sending = Task { try await session.send([2]) }
    #expect(await network.advance { if case .connected = session.state { true } else { false } })
    _ = try await sending.value
    #expect(await received.next() == [2])
    await session.close()
    await second.close()
    try await runningAgain.value
    await sensor.close()
  }

  /// The gateway is killed, and another with its folder starts at another address behind its name; a fifth of all datagrams is lost.
  @Test func aGatewayThatIsKilledAndMoves() async throws {
    let (readings, sink) = AsyncStream<[UInt8]>.makeStream()
    var received = readings.makeAsyncIterator()
    let sensor = try await makeSensor()
    let (first, running) = try await gateway(AllowList([sensorKey.publicKey]), sink)
    let session = try sensor.reconnectingSession(to: "gw:4500", key: gatewayKey.publicKey)
    try await session.send([1])
    #expect(await received.next() == [1])
    network.cutOff(first)
    await first.close()
    try await running.value

    try network.setAddresses(["10.0.0.3:0"], of: "gw")
    let (second, runningAgain) = try await gateway(AllowList([sensorKey.publicKey]), sink, at: "10.0.0.3:4500")
    network.conditions.loss = 0.2
    for _ in 0..<240 {
      try await session.send([2], whenDisconnected: .drop)
      await network.advance(by: .milliseconds(500))
      if await second.statistics().endpoint.messagesReceived > 0 { break }
    }
    #expect(await received.next() == [2])
    network.conditions.loss = 0
    await session.close()
    await second.close()
    try await runningAgain.value
    await sensor.close()
  }

  /// A sensor that was removed from the list gets no session and no answer, though it has a ratchet.
  @Test func aSensorThatIsNotInTheList() async throws {
    let (_, sink) = AsyncStream<[UInt8]>.makeStream()
    let sensor = try await makeSensor()
    let (endpoint, running) = try await gateway(AllowList(), sink)
    let session = try sensor.reconnectingSession(to: "gw:4500", key: gatewayKey.publicKey)
    #expect(await network.advance { if case .waiting(_, after: .timeout) = session.state { true } else { false } })
    #expect(await endpoint.statistics().sessions == 0)
    await session.close()
    await endpoint.close()
    try await running.value
    await sensor.close()
  }
}
