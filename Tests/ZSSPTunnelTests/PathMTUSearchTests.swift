// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The search for what a path takes, on paths that are made up.
@Suite(.tags(.fast))
struct PathMTUSearchTests {
  /// A path, and a peer at its end that answers within the same second.
  private struct Path {
    var search: PathMTUSearch
    /// The largest datagram that passes; 0 for none at all.
    var takes: Int
    /// True if the peer knows probes.
    var answers = true
    /// Every so many probes one is lost; 0 for never.
    var losesEvery = 0
    /// True if other messages come from the peer.
    var isHeard = true
    var sendsFullSize = false
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var probes: [Int] = []
    private(set) var seconds = 0

    init(largest: Int = 1452, takes: Int, isSearching: Bool = true) {
      search = PathMTUSearch(largest: largest, isSearching: isSearching, firstNumber: 1)
      self.takes = takes
    }

    mutating func begin() { deliver(search.restart(at: now)) }

    private mutating func deliver(_ sent: [PathMTUSearch.Probe]) {
      for probe in sent {
        probes.append(probe.size)
        let isLost = losesEvery > 0 && probes.count.isMultiple(of: losesEvery)
        if answers, probe.size <= takes, !isLost { search.answered(probe.number, at: now) }
      }
    }

    mutating func second() {
      now = now.advanced(by: .seconds(1))
      seconds += 1
      let heard: Instant? = isHeard && takes > 0 ? now : nil
      deliver(search.tick(at: now, lastReceived: heard, isInUse: sendsFullSize, sendsFullSize: sendsFullSize))
    }

    mutating func run(_ count: Int) { for _ in 0..<count { second() } }

    mutating func settle() {
      while search.phase == .searching, seconds < 60 { second() }
    }
  }

  @Test func anOrdinaryPathIsKnownAtOnce() {
    var path = Path(takes: 1472)
    #expect(path.search.limit == 1232)
    path.begin()
    #expect(path.search.phase == .settled && path.search.limit == 1452 && path.search.narrowLimit == nil)
    // Nothing is sent while nothing is.
    let probes = path.probes.count
    path.run(1000)
    #expect(path.probes.count == probes)
  }

  @Test(arguments: [1232, 1233, 1252, 1300, 1352, 1372, 1400, 1451])
  func narrowPaths(takes: Int) {
    var path = Path(takes: takes)
    path.begin()
    path.settle()
    #expect(path.search.phase == .settled && path.search.confirmed == takes)
    #expect(path.search.narrowLimit == takes && path.search.known == takes)
    #expect(path.seconds <= 7 && path.probes.count <= 70, "\(path.seconds) s, \(path.probes.count) probes")
    // Until then nothing larger than what passed is sent.
    #expect(path.search.limit == takes)
  }

  @Test(arguments: [1452, 1472, 4000, 8953]) func jumboFramesInAnOrdinaryNetwork(takes: Int) {
    var path = Path(largest: 8953, takes: takes)
    path.begin()
    path.settle()
    #expect(path.search.confirmed == takes && path.seconds <= 10, "\(path.seconds) s")
  }

  /// Probes that are lost for another reason than their size are tried again.
  @Test(arguments: [2, 3, 5, 7]) func lossyPaths(losesEvery: Int) {
    var path = Path(takes: 1372)
    path.losesEvery = losesEvery
    path.begin()
    path.settle()
    #expect(path.search.phase == .settled && path.search.confirmed > 1372 - 9 && path.search.confirmed <= 1372)
  }

  /// A path that takes less than it did, and says nothing: small packets pass, full ones do not.
  @Test func aBlackHole() {
    var path = Path(takes: 1452)
    path.begin()
    path.takes = 1300
    path.sendsFullSize = true
    path.run(5 + PathMTUSearch.missLimit)
    #expect(path.search.limit == 1298 || path.search.limit ?? 0 <= 1300)
    path.settle()
    #expect(path.search.narrowLimit == 1300)
  }

  /// A peer that is gone says nothing of the path.
  @Test func aSilentPeerIsNoBlackHole() {
    var path = Path(takes: 1452)
    path.begin()
    path.takes = 0
    path.sendsFullSize = true
    path.run(60)
    #expect(path.search.phase == .settled && path.search.limit == 1452)
  }

  @Test func aPathThatTakesMoreAgain() {
    var path = Path(takes: 1300)
    path.begin()
    path.settle()
    path.takes = 1452
    path.sendsFullSize = true
    path.run(61)
    path.settle()
    #expect(path.search.limit == 1452 && path.search.narrowLimit == nil)
  }

  /// A peer that answers no probes gets datagrams that pass every path, and packets that fit into
  /// one: its path may be narrow.
  @Test func anOlderPeer() {
    var path = Path(takes: 1452)
    path.answers = false
    path.begin()
    #expect(path.search.limit == 1232)
    path.settle()
    #expect(path.search.phase == .unsupported && path.search.limit == 1232 && path.search.narrowLimit == 1232)
    #expect(path.seconds == PathMTUSearch.idleLimit && !path.search.isAnswered && path.search.known == nil)
    let probes = path.probes.count
    path.run(100)
    #expect(path.probes.count == probes)
  }

  /// The search begins when the peer is there, and not before.
  @Test func aPeerThatComesLate() {
    var path = Path(takes: 0)
    path.begin()
    path.run(20)
    #expect(path.search.phase == .silent && path.probes.count < 50)
    path.takes = 1372
    path.run(1)
    path.settle()
    #expect(path.search.narrowLimit == 1372)
  }

  @Test func answersThatNobodyAskedFor() {
    var path = Path(takes: 1300)
    path.begin()
    for number in 5000...6000 as ClosedRange<UInt64> { path.search.answered(number, at: path.now) }
    path.settle()
    #expect(path.search.limit == 1300 && path.search.outstanding <= 64)
  }

  /// A session without a search has no limit, and one small probe shows whether the peer knows
  /// probes.
  @Test(arguments: [(1452, false), (1232, true), (600, true)]) func nothingToSearch(largest: Int, isSearching: Bool) {
    var path = Path(largest: largest, takes: 1472, isSearching: isSearching)
    path.begin()
    #expect(path.search.limit == nil && path.search.isAnswered && path.probes == [min(largest, 1232)])
    path.sendsFullSize = true
    path.run(100)
    #expect(path.search.limit == nil && path.search.narrowLimit == nil && path.probes.count == 1)
  }

  @Test func probesHaveTheirSize() {
    let bytes = TunnelMessage.bytes(of: .init(number: 0x0102_0304_0506_0708, size: 1372))
    #expect(bytes.count == 1340 && Array(bytes[..<9]) == [3, 1, 2, 3, 4, 5, 6, 7, 8])
    #expect(bytes.tunnelMessage == .probe(0x0102_0304_0506_0708))
    #expect(TunnelMessage.probeAnswer(9).bytes.tunnelMessage == .probeAnswer(9))
    // What older versions know is as it was.
    #expect(TunnelMessage.question(9).bytes.tunnelMessage == .question(9))
    #expect(([3, 1] as [UInt8]).tunnelMessage == .unknown)
    #expect(([4] + [UInt8](repeating: 0, count: 9)).tunnelMessage == .unknown)
  }

  /// An attacker on the path can make a peer seem to be anywhere. Only a small message goes there
  /// until it is answered, once a second.
  @Test func anAddressIsProvedFirst() {
    var search = PathMTUSearch(largest: 1452, isSearching: true, firstNumber: 1)
    func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
    for probe in search.restart(at: at(1)) { search.answered(probe.number, at: at(1)) }
    #expect(search.limit == 1452)
    search.moved(at: at(2))
    #expect(search.limit == 1232 && search.outstanding == 0)
    let first = search.tick(at: at(3), lastReceived: at(3), isInUse: true, sendsFullSize: true)
    #expect(first.map(\.size) == [1232])
    let second = search.tick(at: at(4), lastReceived: at(4), isInUse: true, sendsFullSize: true)
    #expect(second.map(\.size) == [1232])
    search.answered(second[0].number, at: at(4))
    let third = search.tick(at: at(5), lastReceived: at(5), isInUse: true, sendsFullSize: true)
    #expect(third.contains { $0.size == 1452 })
  }

  @Test func answersOfTheOldPathDoNotCount() {
    var search = PathMTUSearch(largest: 1452, isSearching: true, firstNumber: 1)
    let now = Instant(nanoseconds: 1_000_000_000)
    let probes = search.restart(at: now)
    search.moved(at: now)
    for probe in probes { search.answered(probe.number, at: now) }
    #expect(search.limit == 1232 && search.known == nil)
  }

  /// A peer whose answers were lost for some seconds is not taken to be too old for ever.
  @Test func aPeerThatSeemsTooOldIsAskedAgain() {
    var path = Path(takes: 1300)
    path.answers = false
    path.begin()
    path.run(10)
    #expect(path.search.phase == .unsupported && path.search.limit == 1232)
    path.answers = true
    path.run(100)
    #expect(path.search.phase == .unsupported)
    path.sendsFullSize = true
    path.run(80)
    #expect(path.search.phase == .settled && path.search.narrowLimit == 1300)
  }

  /// A peer that has answered before is not too old: its path takes little, or nothing.
  @Test func aPeerThatHasAnsweredIsNotTooOld() {
    var path = Path(takes: 1300)
    path.begin()
    path.settle()
    path.answers = false
    path.begin()
    path.run(30)
    #expect(path.search.phase != .unsupported && path.search.limit == 1232)
  }
}
