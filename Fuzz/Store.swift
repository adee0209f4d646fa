// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP

@testable import ZSSPCommand

/// The text of a ratchet store: what is read can be written and read again, and every entry is
/// there.
func fuzz(_ input: inout FuzzInput) {
  let text = input.restAsText()
  let rows: [PublicKey: RatchetRow]
  do {
    rows = try RatchetFile.rows(in: text)
  } catch {
    return expect(!error.description.isEmpty, "an error says what is wrong")
  }
  guard let written = try? RatchetFile.text(rows) else { return expect(false, "what was read can be written") }
  guard let again = try? RatchetFile.rows(in: written) else { return expect(false, "what was written can be read") }
  expect(again == rows, "reading gives what was written")
  // States are equal by their names; their keys are compared here.
  for (peer, row) in rows {
    guard let other = again[peer] else { return expect(false, "every peer is there") }
    expect(other.pair.state1.key == row.pair.state1.key, "the key of the first state is the same")
    if let one = row.pair.state2, let two = other.pair.state2 { expect(one.key == two.key, "and that of the second") }
  }
  guard let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
    let peers = value["peers"] as? [String: Any]
  else { return }
  expect(peers.count == rows.count, "no entry is lost")
}
