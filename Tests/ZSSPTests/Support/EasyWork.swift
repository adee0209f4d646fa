// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import ZSSP

/// Cryptography under which every eighth number is a proof of work, and which counts hashes.
final class EasyWork: DerivedProvider {
  let base: any CryptoProvider
  private let count = Mutex(0)

  init(seed: UInt64) { base = FastCrypto(seed: seed) }

  /// The number of hashes that were computed, those of proofs among them.
  var hashes: Int { count.withLock { $0 } }

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    count.withLock { $0 += 1 }
    let digest = base.hash(first, second)
    guard first.byteCount == PacketSize.challenge, second.byteCount == 0 else { return digest }
    return Digest { $0.store(UInt16(first[byte: PacketSize.challenge - 1] & 7) << 13 | 1, at: 0) }
  }
}
