// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite(.tags(.fast))
struct PeerIndexTests {
  private let provider = FastCrypto(seed: 0x1D)

  @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]])
  func theSessionsOfAPeerStayInTheirOrder(removals: [Int]) {
    let peer = provider.generateAgreementKey().publicKey
    let other = provider.generateAgreementKey().publicKey
    var index = PeerIndex()
    func add(_ peer: PublicKey) -> Session {
      index.add { Session(acceptedFrom: peer, at: Address(ipv4: 1, port: 1), id: $0, Settings()) }
    }
    let sessions = (0..<3).map { _ in add(peer) }
    let single = add(other)
    var expected = sessions.map(\.id)
    #expect(index.ids(of: peer) == expected && index.ids(of: other) == [single.id])
    for number in removals {
      index.remove(sessions[number])
      expected.removeAll { $0 == sessions[number].id }
      #expect(index.ids(of: peer) == expected)
      index.remove(sessions[number])
      #expect(index.ids(of: peer) == expected, "again")
    }
    #expect(index.ids(of: peer).isEmpty && index.sessions(with: other).count == 1 && index.count == 1)
    let next = add(peer)
    #expect(index.ids(of: peer) == [next.id])
  }
}
