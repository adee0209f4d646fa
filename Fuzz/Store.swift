// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP

@testable import zssp

/// The text of a ratchet store: what is read can be written and read again, and every entry is there.
func fuzz(_ input: inout FuzzInput) {
  let text = input.restAsText()
  let pairs: [PublicKey: RatchetPair]
  do {
    pairs = try RatchetFile.pairs(in: text)
  } catch {
    return expect(!error.description.isEmpty, "an error says what is wrong")
  }
  guard let written = try? RatchetFile.text(pairs) else { return expect(false, "what was read can be written") }
  guard let again = try? RatchetFile.pairs(in: written) else { return expect(false, "what was written can be read") }
  expect(again == pairs, "reading gives what was written")
  // States are equal by their names; their keys are compared here.
  for (peer, pair) in pairs {
    guard let other = again[peer] else { return expect(false, "every peer is there") }
    expect(other.state1.key == pair.state1.key, "the key of the first state is the same")
    if let one = pair.state2, let two = other.state2 { expect(one.key == two.key, "and that of the second") }
  }
  guard let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
    let peers = value["peers"] as? [String: Any]
  else { return }
  expect(peers.count == pairs.count, "no entry is lost")
}
