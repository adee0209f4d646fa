// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom
import ZSSPSwiftCrypto

#if SQLite
  import Foundation
  import ZSSPSQLite

  /// The look-ups of the database, in a folder of their own.
  func databaseCases() async throws -> [TimingCase] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("zssp-timing-\(getpid())")
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let store = try SQLiteRatchetStore(path: folder.appendingPathComponent("ratchets.db").path, provider: .swiftCrypto)
    let (pairs, known) = filledStore()
    try await store.store(pairs.mapValues { RatchetRow($0) }, replaces: true)
    func timing(
      _ classes: String, expectation: Expectation, make: @escaping (Bool, inout SplitMix64) -> Fingerprint
    ) -> TimingCase {
      TimingCase("fingerprint look-up, SQLite", classes: classes, expectation: expectation, samples: 20_000, calls: 1) {
        count, _, random in
        let choices = (0..<count).map { _ in random.next() & 1 == 0 }
        let inputs = choices.map { make($0, &random) }
        var times: [(isFirst: Bool, time: Double)] = []
        for (isFirst, input) in zip(choices, inputs) {
          let start = nanoseconds()
          let answer = await store.answer(.lookUp(input, second: .empty))
          let end = nanoseconds()
          if case .found = answer { consume(1) }
          times.append((isFirst, Double(end - start)))
        }
        return times
      }
    }
    return [
      timing("31 bytes and 7 bits of a known one / random", expectation: .same, make: unknown(known)),
      timing("known / random", expectation: .explained, make: knownOrNot(known)),
    ]
  }
#else
  func databaseCases() async throws -> [TimingCase] { [] }
#endif
