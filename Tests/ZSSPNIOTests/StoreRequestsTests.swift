// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP
@testable import ZSSPNIO

/// The order and the deadlines of requests to the store, without a store.
@Suite(.tags(.fast))
struct StoreRequestsTests {
  private let alice = PublicKey([2] + [UInt8](repeating: 1, count: 48))
  private let bob = PublicKey([2] + [UInt8](repeating: 2, count: 48))

  private func id(_ number: UInt64) -> RequestID { RequestID(value: number) }

  private func load(_ peer: PublicKey?) throws -> StoreRequest { .load(peer: try #require(peer)) }

  private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  // [DEC-14]
  @Test func requestsAboutOnePeerRunOneAfterAnother() throws {
    var requests = StoreRequests()
    #expect(requests.add(id(1), try load(alice), deadline: at(30))?.id == id(1))
    #expect(requests.add(id(2), try load(alice), deadline: at(30)) == nil)
    #expect(requests.add(id(3), try load(alice), deadline: at(30)) == nil)
    // Other peers and look-ups do not wait.
    #expect(requests.add(id(4), try load(bob), deadline: at(30))?.id == id(4))
    #expect(requests.add(id(5), .lookUp(.empty), deadline: at(30))?.id == id(5))
    #expect(requests.count == 5)
    for (answered, next) in [(1, 2), (2, 3)] as [(UInt64, UInt64)] {
      let outcome = requests.finish(id(answered))
      #expect(outcome.isAwaited && outcome.next?.id == id(next))
    }
    for last in [3, 4, 5] as [UInt64] {
      let outcome = requests.finish(id(last))
      #expect(outcome.isAwaited && outcome.next == nil)
    }
    #expect(requests.count == 0 && requests.nextDeadline == nil)
    // The peer's queue is gone: its next request runs at once.
    #expect(requests.add(id(6), try load(alice), deadline: at(30))?.id == id(6))
  }

  // [DEC-15]
  @Test func anOverdueRequestLetsTheNextOneRunAndKeepsItsPlace() throws {
    var requests = StoreRequests()
    _ = requests.add(id(1), try load(alice), deadline: at(30))
    _ = requests.add(id(2), try load(alice), deadline: at(31))
    #expect(requests.nextDeadline == at(30))
    let expiry = requests.expire(at: at(30))
    #expect(expiry.failed == [id(1)] && expiry.runs.map(\.id) == [id(2)])
    #expect(requests.count == 2 && requests.nextDeadline == at(31))
    // Its answer is not waited for any more, and does not have another one run.
    _ = requests.add(id(3), try load(alice), deadline: at(32))
    let late = requests.finish(id(1))
    #expect(!late.isAwaited && late.next == nil && requests.count == 2)
    #expect(!requests.finish(id(1)).isAwaited)
    #expect(requests.finish(id(2)).next?.id == id(3))
  }

  @Test func whatWaitsPastItsDeadlineNeverRuns() throws {
    var requests = StoreRequests()
    _ = requests.add(id(1), try load(alice), deadline: at(30))
    _ = requests.add(id(2), try load(alice), deadline: at(30))
    _ = requests.add(id(3), try load(alice), deadline: at(40))
    _ = requests.add(id(4), .lookUp(.empty), deadline: at(40))
    let expiry = requests.expire(at: at(35))
    #expect(expiry.failed == [id(1), id(2)] && expiry.runs.map(\.id) == [id(3)])
    // The one that ran is overdue, the one that waited is forgotten.
    #expect(requests.count == 3)
    let rest = requests.expire(at: at(40))
    #expect(rest.failed == [id(3), id(4)] && rest.runs.isEmpty && requests.count == 3)
    #expect(requests.add(id(5), try load(alice), deadline: at(70))?.id == id(5))
  }

  @Test func beforeTheDeadlineNothingFails() throws {
    var requests = StoreRequests()
    _ = requests.add(id(1), try load(alice), deadline: at(30))
    _ = requests.add(id(2), try load(bob), deadline: at(31))
    #expect(requests.finish(id(1)).isAwaited)
    #expect(requests.nextDeadline == at(31))
    let expiry = requests.expire(at: at(30))
    #expect(expiry.failed.isEmpty && expiry.runs.isEmpty && requests.count == 1)
  }
}
