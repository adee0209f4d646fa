// SPDX-License-Identifier: Apache-2.0
import Synchronization
public import ZSSP

/// Records every nonce that was used for sealing, by key, and the headers of the latest datagrams.
/// Keys are identified by their bytes, whoever holds them.
///
/// An X3 may be sealed twice with the same content: it is computed again if X2 arrives twice and
/// the first outcome was not stored. Nothing else may be sealed twice. C1, C2 and D have no
/// plaintext, so a repeated counter gives the same tag.
public final class NonceLedger: Sendable {
  private struct KeyBytes: Hashable {
    let first, second, third, fourth: UInt64
  }

  private struct Entries {
    /// The end of the tag for each used nonce.
    var used: [KeyBytes: [Nonce: UInt64]] = [:]
    var reused: Nonce?
    var seals: UInt64 = 0
  }

  private let entries = Mutex(Entries())

  private let labels = Mutex<[UInt64: PacketLabel]>([:])

  /// Makes an empty ledger.
  public init() {}

  /// Records the header whose protected form begins with `block`.
  fileprivate func record(_ label: PacketLabel, block: UInt64) { labels.withLock { $0[block] = label } }

  /// Returns the header of a datagram made since ``forgetHeaders()``; nil for an unprotected one.
  func label(_ datagram: [UInt8]) -> PacketLabel? {
    guard datagram.count >= FragmentHeader.protectedBytes.upperBound else { return nil }
    let block = datagram.rawBytes.load(UInt64.self, at: FragmentHeader.protectedBytes.lowerBound)
    return labels.withLock { $0[block] }
  }

  /// Called when all datagrams have been taken.
  func forgetHeaders() { labels.withLock { if !$0.isEmpty { $0.removeAll(keepingCapacity: true) } } }

  /// The first nonce that was used for two messages under one key; nil if none.
  public var reusedNonce: Nonce? { entries.withLock { $0.reused } }
  /// The number of sealed packets and parts of handshakes.
  public var seals: UInt64 { entries.withLock { $0.seals } }

  fileprivate func record(_ key: Secret, nonce: Nonce, tag: UInt64) {
    let bytes = key.bytes
    let key = KeyBytes(
      first: bytes.load(UInt64.self, at: 0), second: bytes.load(UInt64.self, at: 8),
      third: bytes.load(UInt64.self, at: 16), fourth: bytes.load(UInt64.self, at: 24))
    entries.withLock {
      $0.seals += 1
      let earlier = $0.used[key, default: [:]].updateValue(tag, forKey: nonce)
      let isRepeatable = nonce.type == PacketType.completion.rawValue
      if let earlier, !(isRepeatable && earlier == tag), $0.reused == nil { $0.reused = nonce }
    }
  }
}

/// A provider that records each use of a nonce in a ledger, which all endpoints of a simulation
/// share.
public struct NonceGuard: DerivedProvider {
  /// The provider whose keys are observed.
  public let base: any CryptoProvider
  private let ledger: NonceLedger

  /// Observes sealing with keys of `base`.
  public init(_ base: any CryptoProvider, ledger: NonceLedger) {
    self.base = base
    self.ledger = ledger
  }

  /// Returns the base's key, wrapped to record nonces.
  public func packetKey(_ key: Secret) -> any PacketKey {
    GuardedPacketKey(base.packetKey(key), bytes: key, ledger: ledger)
  }

  /// Returns the base's key, wrapped to record the headers that it protects.
  public func headerKey(_ key: Secret) -> any HeaderKey { GuardedHeaderKey(base.headerKey(key), ledger: ledger) }
}

private final class GuardedPacketKey: PacketKey {
  private let base: any PacketKey
  private let bytes: Secret
  private let ledger: NonceLedger

  init(_ base: any PacketKey, bytes: Secret, ledger: NonceLedger) {
    self.base = base
    self.bytes = bytes
    self.ledger = ledger
  }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    base.seal(plaintext, nonce: nonce, authenticating: authenticating, into: &output)
    ledger.record(bytes, nonce: nonce, tag: output.bytes.load(UInt64.self, at: plaintext.byteCount + 8))
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    base.open(&message, nonce: nonce, authenticating: authenticating)
  }
}

private final class GuardedHeaderKey: HeaderKey {
  private let base: any HeaderKey
  private let ledger: NonceLedger

  init(_ base: any HeaderKey, ledger: NonceLedger) {
    self.base = base
    self.ledger = ledger
  }

  func encrypt(_ block: inout MutableRawSpan) {
    let label = PacketLabel(protected: block.bytes)
    base.encrypt(&block)
    if let label { ledger.record(label, block: block.bytes.load(UInt64.self, at: 0)) }
  }

  func decrypt(_ block: inout MutableRawSpan) { base.decrypt(&block) }
}
