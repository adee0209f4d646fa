// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Sessions that are fetched before they are used", .tags(.fast))
struct PrefetchTests {
  private let provider = FastCrypto(seed: 0x9f)

  @Test func nothingChanges() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let before = (pair.alice.statistics, pair.alice.diagnostics, pair.alice.nextCounter(session))
    pair.alice.prefetch([session, session])
    #expect(before == (pair.alice.statistics, pair.alice.diagnostics, pair.alice.nextCounter(session)))
    try pair.alice.send([1, 2, 3], on: session, at: pair.now)
    pair.settle()
    #expect(pair.bob.messages.map(\.bytes) == [[1, 2, 3]])
  }

  /// Sessions that have no key yet, have ended, or never were; more of them than are fetched at
  /// once, and with keys expanded for one of them at a time.
  @Test(arguments: [0, 1, Endpoint.prefetchLimit, 3 * Endpoint.prefetchLimit])
  func whateverIsNamed(count: Int) throws {
    var settings = Settings()
    settings.expandedKeys = 1
    let pair = try Pair(provider: provider, settings: settings)
    let established = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let ids = try (0..<count).map { _ in try pair.alice.open(to: pair.bob, at: pair.now) }
    for id in ids.prefix(count / 2) { pair.alice.close(id) }
    let statistics = pair.alice.statistics
    let diagnostics = pair.alice.diagnostics
    pair.alice.prefetch(ids + [established, SessionID(index: 9999, generation: 1)])
    #expect(pair.alice.statistics == statistics && pair.alice.diagnostics == diagnostics)
  }
}
