// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPSwiftCrypto

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Two endpoints in this process that shake hands, move data, change keys and end. At each stage it
/// says so on standard output and waits for a line, while Scripts/scan-memory reads its memory from
/// outside.
struct MemorySubject {
  private let witness: WitnessProvider

  /// Keys go to the descriptor `pipe`.
  init(pipe: Int32) { witness = WitnessProvider(base: SwiftCryptoProvider(), pipe: pipe) }

  func run() throws {
    try session()
    stage("gone")
    planted()
  }

  /// Everything that holds a key is local to this function.
  private func session() throws {
    var keys = witness
    keys.kindOfKey = "static private key"
    let link = try Link(witness, keys: keys)
    let (one, other) = try link.establish()
    tellRatchets(link)
    stage("established")
    try link.rekey(one)
    try link.exchange(one, other)
    tellRatchets(link)
    stage("re-keyed")
    // The previous key is kept a minute for what comes late.
    link.skip(.seconds(61))
    try link.exchange(one, other)
    stage("a minute later")
    link.alice.endpoint.close(one)
    link.bob.endpoint.close(other)
    link.settle()
    stage("closed")
  }

  /// The ratchet states that the stores hold, which the next session needs.
  private func tellRatchets(_ link: Link) {
    for store in [link.alice.store, link.bob.store] {
      for pair in store.pairs.values {
        for state in [pair.state1, pair.state2].compactMap(\.self) {
          let key = state.key
          witness.tell("stored ratchet key", bytes: key.bytes)
        }
      }
    }
  }

  /// A key in an array that nobody wipes.
  private func planted() {
    let secret = witness.base.random(32)
    witness.tell("planted key", bytes: secret.bytes)
    let copy = secret.bytes.array
    stage("planted")
    consume(Int(copy[31]))
  }

  @inline(never)
  private func stage(_ name: StaticString) {
    _ = name.withUTF8Buffer { text in write(1, text.baseAddress, text.count) }
    var end: UInt8 = 0x0a
    _ = write(1, &end, 1)
    var answer: UInt8 = 0
    while read(0, &answer, 1) == 1, answer != 0x0a {}
  }
}
