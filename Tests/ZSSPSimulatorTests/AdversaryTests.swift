// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSimulator

@Suite("The adversary remembers, and knows which packet is which", .tags(.fast))
struct AdversaryTests {
  private func parcel(_ byte: UInt8, label: PacketLabel) -> Parcel {
    Parcel(
      from: SimulatedPeer.home(0, port: 1), to: SimulatedPeer.home(1, port: 1),
      bytes: [UInt8](repeating: byte, count: 40), sender: 0, origin: 0, label: label)
  }

  private func label(_ type: PacketType, counter: UInt64, fragment number: Int = 0, of count: Int = 1) throws
    -> PacketLabel
  {
    var block = [UInt8](repeating: 0, count: 16)
    block[0] = UInt8(number)
    block[1] = UInt8(count)
    block[3] = type.rawValue
    block.withMutableBytes { $0.store(counter, at: 4) }
    let label = PacketLabel(protected: block.rawBytes)
    return try #require(label)
  }

  @Test("a packet that is sent again is the same packet, and its fragments belong together")
  func samePacket() throws {
    var memory = AdversaryMemory(peers: 2)
    var numbers: Set<Int> = []
    for time in [1, 2] {
      for fragment in 0..<2 {
        let label = try label(.completion, counter: 0, fragment: fragment, of: 2)
        numbers.insert(
          memory.see(parcel(7, label: label), label: label, from: 0, to: 1, at: .milliseconds(Int64(time))))
      }
    }
    #expect(numbers.count == 1 && memory.count == 1)
    let sighting = try #require(numbers.first.map { memory[$0] })
    #expect(sighting.parcels.count == 2 && sighting.firstSeen == .milliseconds(1))
    // One of another handshake goes under another key id; the other direction has packets of its
    // own.
    let label = try label(.completion, counter: 0)
    #expect(memory.see(parcel(8, label: label), label: label, from: 0, to: 1, at: .milliseconds(3)) == 1)
    #expect(memory.see(parcel(8, label: label), label: label, from: 1, to: 0, at: .milliseconds(3)) == 2)
    #expect(memory.all(.completion, from: 0, to: 1) == [0, 1])
    #expect(memory.firstSeen(.completion, from: 0, to: 1, keyID: KeyID(value: 0x0808_0808)) == .milliseconds(3))
    #expect(memory.firstSeen(.completion, from: 0, to: 1, keyID: KeyID(value: 0x0909_0909)) == nil)
  }

  @Test("packets of handshakes are kept for ever, and of those that are sent anew each time the latest")
  func bounds() throws {
    var memory = AdversaryMemory(peers: 2)
    for counter in 0..<1000 as Range<UInt64> {
      for type in [PacketType.hello, .keyConfirm] {
        let label = try label(type, counter: counter)
        _ = memory.see(parcel(1, label: label), label: label, from: 0, to: 1, at: .milliseconds(Int64(counter)))
      }
    }
    #expect(memory.all(.hello, from: 0, to: 1).count == 1000)
    let confirms = memory.all(.keyConfirm, from: 0, to: 1).map { memory[$0].firstSeen }
    #expect(confirms.count == AdversaryMemory.sampleSize && confirms == confirms.sorted { $0 < $1 })
    #expect(confirms.last == .milliseconds(999) && memory.count == 1000 + AdversaryMemory.sampleSize)
  }

  @Test("in a run it learns every packet of handshakes and re-keys")
  func knowsTypes() throws {
    var plan = SimulationPlan()
    plan.mode = .persistent
    plan.peers = 2
    plan.faults = .none
    plan.network = .perfect
    plan.attacksPerSecond = 0
    plan.adversary.campaignsPerHour = 0
    let simulation = try Simulation(plan, seed: 1)
    simulation.beginCalm()
    try simulation.proceed(until: simulation.now.advanced(by: .seconds(3 * 3600)))
    let memory = simulation.memory
    func count(_ type: PacketType, from: Int) -> Int { memory.all(type, from: from, to: 1 - from).count }
    // Both open in the same instant, and re-key twice or more in three hours.
    #expect(
      count(.hello, from: 0) + count(.hello, from: 1) >= 1 && count(.response, from: 0) + count(.response, from: 1) >= 1
    )
    #expect(count(.completion, from: 0) + count(.completion, from: 1) >= 1)
    #expect(count(.rekeyInit, from: 0) + count(.rekeyInit, from: 1) >= 2)
    #expect(count(.rekeyComplete, from: 0) + count(.rekeyComplete, from: 1) >= 2)
    #expect(count(.keyConfirm, from: 0) + count(.keyConfirm, from: 1) >= 3)
    #expect(count(.acknowledge, from: 0) + count(.acknowledge, from: 1) >= 3)
    for from in 0..<2 {
      for number in memory.all(.hello, from: from, to: 1 - from) {
        let bytes = memory[number].parcels.map { $0.bytes.count - FragmentHeader.size }.reduce(0, +)
        #expect(bytes == PacketSize.hello)
      }
      for number in memory.all(.response, from: from, to: 1 - from) {
        let bytes = memory[number].parcels.map { $0.bytes.count - FragmentHeader.size }.reduce(0, +)
        #expect(bytes == PacketSize.response)
      }
    }
  }

  @Test("a campaign holds back each packet or none, releases what it holds, and forgets the oldest")
  func campaign() {
    var random = SimulationRandom(seed: 1)
    var held = 0
    for number in 0..<200 {
      var campaign = Campaign(number, low: 0, high: 1, from: .milliseconds(0), until: .milliseconds(1), random: &random)
      for packet in 0..<40 {
        let isHeld = campaign.holds(packet, type: .completion, from: packet & 1, at: .milliseconds(0), random: &random)
        #expect(
          campaign.holds(packet, type: .completion, from: packet & 1, at: .milliseconds(0), random: &random) == isHeld)
      }
      #expect(campaign.held.count <= Campaign.heldLimit)
      let before = campaign.held
      held += before.count
      if let released = campaign.release(&random) {
        #expect(before.contains(released) && !campaign.held.contains(released))
      } else {
        #expect(before.isEmpty)
      }
      campaign.discard()
      #expect(campaign.held.isEmpty && campaign.release(&random) == nil)
      if campaign.kind == .starve { #expect(before.count == Campaign.heldLimit) }
    }
    #expect(held > 400)
  }
}
