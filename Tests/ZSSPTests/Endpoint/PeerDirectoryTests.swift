// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("What the shards of an endpoint know of each other", .tags(.fast))
struct PeerDirectoryTests {
  private let directory = PeerDirectory()
  private let provider = FastCrypto(seed: 0xD1)
  private let peers: [PublicKey]
  private let places = (0..<3).map {
    PeerDirectory.Place(shard: $0, session: SessionID(index: 7, generation: UInt32($0)))
  }

  init() { peers = [provider.generateAgreementKey().publicKey, provider.generateAgreementKey().publicKey] }

  @Test("the newest session is kept, and names those that it takes the place of")
  func sessions() {
    #expect(directory.shard(for: peers[0]) == nil)
    directory.begin(places[0], with: peers[0])
    #expect(directory.shard(for: peers[0]) == 0)
    #expect(directory.establish(places[1], with: peers[0]) == [places[0]])
    directory.finish(places[0], with: peers[0])
    #expect(directory.shard(for: peers[0]) == 1)
    #expect(directory.establish(places[2], with: peers[0]) == [places[1]])
    #expect(directory.establish(places[2], with: peers[1]) == [])
    // The end of one that was replaced changes nothing.
    directory.end(places[1], with: peers[0])
    #expect(directory.shard(for: peers[0]) == 2)
    directory.end(places[2], with: peers[0])
    #expect(directory.shard(for: peers[0]) == nil)
    #expect(directory.shard(for: peers[1]) == 2)
  }

  @Test("of two sessions the one with the later swap is kept, in whatever order the shards record them")
  func lateRecord() {
    let marks = (0..<3).map { _ in directory.nextMark() }
    for (index, place) in places.enumerated() { directory.recordMark(marks[index], of: place, with: peers[0]) }
    #expect(directory.establish(places[1], with: peers[0]) == [])
    #expect(directory.establish(places[0], with: peers[0]) == [places[0]], "it is the older one")
    #expect(directory.shard(for: peers[0]) == 1)
    #expect(directory.establish(places[1], with: peers[0]) == [], "again")
    #expect(directory.establish(places[2], with: peers[0]) == [places[1]])
    // The newest ends before an older one is recorded, and before its end is.
    directory.finish(places[2], with: peers[0])
    #expect(directory.establish(places[1], with: peers[0]) == [places[2]])
    // A session that has ended takes no place.
    #expect(directory.establish(places[2], with: peers[0]) == [places[2]])
    for place in places { directory.finish(place, with: peers[0]) }
    directory.end(places[1], with: peers[0])
    #expect(directory.entryCount == 0)
  }

  @Test("an attempt is committed from its X3 on, until it is over")
  func attempts() {
    directory.setCommitted(at: time(3), places[0], with: peers[0])
    #expect(directory.committedAttempt(to: peers[0]) == nil, "there is no attempt")
    directory.begin(places[0], with: peers[0])
    directory.begin(places[1], with: peers[0])
    #expect(directory.committedAttempt(to: peers[0]) == nil)
    directory.setCommitted(at: time(3), places[1], with: peers[0])
    #expect(directory.committedAttempt(to: peers[0])?.time == time(3))
    #expect(directory.committedAttempt(to: peers[1]) == nil)
    directory.setCommitted(at: nil, places[1], with: peers[0])
    #expect(directory.committedAttempt(to: peers[0]) == nil)
    directory.setCommitted(at: time(3), places[1], with: peers[0])
    directory.finish(places[1], with: peers[0])
    #expect(directory.committedAttempt(to: peers[0]) == nil)
  }

  @Test("an X3 that was not answered is remembered as long as the attempt, and of all attempts together")
  func unansweredAttempts() {
    func wasUnanswered() -> Bool? { directory.committedAttempt(to: peers[0])?.wasUnanswered }
    directory.recordUnanswered(places[0], with: peers[0])
    directory.begin(places[0], with: peers[0])
    directory.setCommitted(at: time(3), places[0], with: peers[0])
    #expect(wasUnanswered() == false, "that was before the attempt")
    directory.recordUnanswered(places[0], with: peers[0])
    directory.setCommitted(at: nil, places[0], with: peers[0])
    #expect(wasUnanswered() == nil)
    directory.setCommitted(at: time(14), places[0], with: peers[0])
    #expect(wasUnanswered() == true)
    // The X3 of another shard may arrive.
    directory.begin(places[1], with: peers[0])
    #expect(wasUnanswered() == true)
    directory.setCommitted(at: time(13), places[1], with: peers[0])
    #expect(wasUnanswered() == false && directory.committedAttempt(to: peers[0])?.time == time(14))
    directory.finish(places[1], with: peers[0])
    #expect(wasUnanswered() == true)
    directory.finish(places[0], with: peers[0])
    directory.begin(places[0], with: peers[0])
    directory.setCommitted(at: time(20), places[0], with: peers[0])
    #expect(wasUnanswered() == false, "another attempt")
  }

  @Test("progress is the latest mark, and is forgotten when no X3 can be older")
  func progress() {
    let marks = (0..<4).map { _ in directory.nextMark() }
    #expect(marks == marks.sorted() && Set(marks).count == 4 && marks[0] > .first)
    #expect(directory.progress(of: peers[0]) == .first)
    func record(_ mark: Int, of peer: Int, at seconds: Int64) {
      directory.recordProgress(
        marks[mark], isDone: true, of: peers[peer], at: .milliseconds(1000 * seconds), lifetime: .seconds(10))
    }
    record(1, of: 0, at: 0)
    record(0, of: 0, at: 1)
    #expect(directory.progress(of: peers[0]) == marks[1], "an answer that came late")
    record(2, of: 1, at: 11)
    #expect(directory.progress(of: peers[0]) == marks[1], "ten seconds are not more than ten")
    record(3, of: 1, at: 22)
    #expect(directory.progress(of: peers[0]) == .first && directory.progress(of: peers[1]) == marks[3])
  }

  @Test("a swap that was asked for is progress that was not made yet, and is forgotten with the answer's time")
  func requests() {
    let marks = (0..<2).map { _ in directory.nextMark() }
    func record(_ mark: Int, isDone: Bool, of peer: Int, at seconds: Int64) {
      directory.recordProgress(
        marks[mark], isDone: isDone, of: peers[peer], at: .milliseconds(1000 * seconds), lifetime: .seconds(10))
    }
    record(0, isDone: false, of: 0, at: 0)
    #expect(directory.requestedProgress(of: peers[0]) == marks[0] && directory.progress(of: peers[0]) == .first)
    record(0, isDone: true, of: 0, at: 8)
    record(1, isDone: true, of: 1, at: 18)
    #expect(directory.requestedProgress(of: peers[0]) == marks[0] && directory.progress(of: peers[0]) == marks[0])
    record(1, isDone: true, of: 1, at: 29)
    #expect(directory.requestedProgress(of: peers[0]) == .first && directory.progress(of: peers[0]) == .first)
  }

  private func name(_ number: UInt32) -> Fingerprint {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes.withMutableBytes { $0.store(number, at: 28) }
    return Fingerprint(bytes.rawBytes)
  }

  private func time(_ seconds: Int64) -> Instant { .milliseconds(1000 * seconds) }

  // [DEC-65] [DEC-71]
  @Test("names are held for their time, by exact comparison, and never too many")
  func names() {
    directory.recordStoring(name(1), until: time(10), at: time(0))
    #expect(directory.isStoring(name(1), at: time(9)) && !directory.isStoring(name(1), at: time(10)))
    #expect(!directory.isStoring(name(2), at: time(0)) && !directory.isLeftBehind(name(1), at: time(0)))
    directory.recordStoring(name(1), until: time(20), at: time(5))
    #expect(directory.isStoring(name(1), at: time(19)))
    directory.endStoring(name(1))
    #expect(!directory.isStoring(name(1), at: time(6)))

    #expect(directory.leaveBehind(.empty, until: time(10), at: time(0)) && !directory.isLeftBehind(.empty, at: time(0)))
  }

  @Test("names are bounded, and the time of each is exact")
  func manyNames() {
    var refused = 0
    for number in 0..<UInt32(RecentNames.limit) {
      if !directory.leaveBehind(name(number + 1), until: time(10), at: time(0)) { refused += 1 }
    }
    #expect(refused == 0)
    #expect(!directory.leaveBehind(name(0xFFFF_FFFF), until: time(10), at: time(9)), "there is no room")
    #expect(directory.leaveBehind(name(5), until: time(30), at: time(9)), "it is there already")
    #expect(directory.leaveBehind(name(1), until: time(30), at: time(9)), "the oldest, which keeps no other")
    #expect(directory.leaveBehind(name(0xFFFF_FFFF), until: time(20), at: time(10)))
    #expect(directory.isLeftBehind(name(5), at: time(29)) && !directory.isLeftBehind(name(6), at: time(10)))
  }

  /// Sessions of many peers re-key all the time, a hundred in each second. The directory remembers
  /// one second, or two.
  @Test("nothing is kept for ever")
  func bounds() {
    for number in 0..<20_000 {
      var bytes = [UInt8](repeating: 0, count: 49)
      bytes[0] = 2
      bytes[47] = UInt8(number >> 8 & 0xFF)
      bytes[48] = UInt8(number & 0xFF)
      guard let peer = PublicKey(bytes) else { continue }
      directory.recordProgress(
        directory.nextMark(), isDone: true, of: peer, at: .milliseconds(10 * Int64(number)), lifetime: .seconds(1))
    }
    #expect(directory.entryCount <= 202)
  }
}
