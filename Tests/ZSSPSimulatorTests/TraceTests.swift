// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import ZSSP
import ZSSPSimulator
import ZSSPTestSupport

/// The trace of a run tells the fate of each datagram, and changes nothing about the run.
@Suite(.tags(.slow))
struct SimulationTraceTests {
  private static func plan(shards: Int = 1) -> SimulationPlan {
    var plan = SimulationPlan()
    plan.peers = 3
    plan.shards = shards
    plan.duration = .seconds(420)
    plan.turbulence = .seconds(120)
    plan.calm = .seconds(300)
    return plan
  }

  @Test(arguments: [1, 2]) func aTracedRunIsTheSameRun(shards: Int) throws {
    let plan = Self.plan(shards: shards)
    let lines = Mutex<[String]>([])
    let traced = try Simulation(plan, seed: 3, onTrace: { line in lines.withLock { $0.append(line) } }).run()
    #expect(traced == (try Simulation(plan, seed: 3).run()))
    let text = lines.withLock { $0 }
    for event in ["state", "store", "storeAnswer", "work", "workDone", "timer", "datagram", "event", "phase"] {
      #expect(text.contains { $0.contains("\"ev\":\"\(event)\"") }, "\(event)")
    }
    let datagrams = text.filter { $0.contains("\"ev\":\"datagram\"") }
    for fate in ["sent", "lost", "delivered"] {
      #expect(datagrams.contains { $0.contains("\"fate\":\"\(fate)\"") }, "\(fate)")
    }
    for kind in ["X1", "X2", "X3", "C1", "C2"] {
      #expect(datagrams.contains { $0.contains("\"kind\":\"\(kind)\"") }, "\(kind)")
    }
    #expect(!datagrams.contains { $0.contains("\"kind\":\"P\"") })
    #expect(shards == 1 || text.contains { $0.contains("\"at\":\"0.1\"") })
  }
}
