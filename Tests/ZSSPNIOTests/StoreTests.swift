// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO
import ZSSPStoreTesting

@Suite("The contract of ratchet stores, in memory", .tags(.slow), .timeLimit(.minutes(20)))
struct StoreTests {
  private struct Memory: StoreMedium {
    let isDurable = false

    func open() -> any RatchetStore { VolatileRatchetStore() }
    func close(_ store: any RatchetStore) {}
  }

  @Test(arguments: StoreConformance.cases)
  func conformance(_ rule: StoreConformance) async throws { try await rule.run(on: Memory()) }

  /// The suite must notice stores that break the contract, each by a rule of its own.
  @Test(.long, arguments: BadStore.Fault.allCases)
  func badStoresAreNoticed(fault: BadStore.Fault) async throws {
    struct Medium: StoreMedium {
      let store: BadStore

      func open() -> any RatchetStore { store }
      func close(_ store: any RatchetStore) async { await self.store.reopen() }
      func setFailing(_ isFailing: Bool) async -> Bool {
        await store.setFailing(isFailing)
        return true
      }
      func setFailingAfterEffect(_ isFailing: Bool) async -> Bool {
        await store.setFailingAfterEffect(isFailing)
        return true
      }
      func contents(of store: any RatchetStore) async -> [UInt8]? { await self.store.contents }
    }
    var failures: [String] = []
    for rule in StoreConformance.cases {
      do throws(StoreConformance.Failure) {
        try await rule.run(on: Medium(store: BadStore(fault)))
      } catch {
        #expect(error.rule == rule.name)
        failures.append(error.rule)
      }
    }
    #expect(failures.isEmpty == (fault == .none), "\(fault): \(failures)")
  }
}
