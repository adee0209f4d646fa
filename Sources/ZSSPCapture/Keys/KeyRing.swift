// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// The keys of a key log, by the key id that packets under them have. Documentation/captures.md
/// describes the format.
package final class KeyRing {
  /// The first word of each line.
  package static let mark = "ZSSP1"
  /// The largest number of keys with one key id. Key ids are random, so several are rare.
  static let largestKeysPerID = 4
  /// The largest number of lines.
  package static let largestLineCount = 4 << 20

  let provider: any CryptoProvider
  private var keys: [UInt32: [ReceivingKey]] = [:]
  private var hellos: [UInt32: [Sealed]] = [:]
  /// The number of lines that were read.
  package private(set) var lineCount = 0

  /// Creates a ring without keys.
  package init(provider: any CryptoProvider) { self.provider = provider }

  /// A key of Noise, and the hash that it authenticates.
  struct Sealed {
    let hash: [UInt8]
    let key: Secret
  }

  /// Adds a line of a key log. Empty lines, and those that begin with #, are comments.
  ///
  /// - Throws: ``KeyLogError``.
  package func add(line: Substring) throws(KeyLogError) {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard let first = words.first, !first.hasPrefix("#") else { return }
    guard lineCount < Self.largestLineCount else { throw .tooManyLines }
    guard first == Self.mark else { throw .otherVersion(String(first.prefix(16))) }
    guard words.count >= 3, words[2] == "initiator" || words[2] == "responder" else { throw .malformed }
    // A line of another kind comes from a later minor change of the format.
    guard let kind = KeyLogLine(rawValue: String(words[1])) else { return }
    guard let fields = KeyLogFields(words[3...], sizes: kind.sizes) else { throw .malformed }
    lineCount += 1
    add(kind, fields: fields)
  }

  private func add(_ kind: KeyLogLine, fields: KeyLogFields) {
    switch kind {
    case .hello:
      add(hello: fields.sealed(at: 1), for: fields.keyID(0))
      _ = key(fields.keyID(0), header: fields.secret(3))
    case .response:
      key(fields.keyID(0), header: fields.secret(4)).response = fields.sealed(at: 2)
      _ = key(fields.keyID(1), header: fields.secret(5))
    case .completion:
      key(fields.keyID(0), header: fields.secret(6)).completion = (fields.sealed(at: 1), fields.sealed(at: 3))
    case .session:
      key(fields.keyID(0), header: fields.secret(2)).set(exchange: fields.secret(4), transport: fields.secret(6))
      key(fields.keyID(1), header: fields.secret(3)).set(exchange: fields.secret(5), transport: fields.secret(7))
    }
  }

  private func add(hello: Sealed, for keyID: KeyID) {
    guard hellos[keyID.value, default: []].count < Self.largestKeysPerID else { return }
    hellos[keyID.value, default: []].append(hello)
  }

  /// Returns the key with this id and header key, which may be new.
  private func key(_ keyID: KeyID, header: Secret) -> ReceivingKey {
    if let known = keys[keyID.value]?.first(where: { $0.headerSecret == header }) { return known }
    let made = ReceivingKey(header, provider: provider)
    var all = keys[keyID.value] ?? []
    if all.count >= Self.largestKeysPerID { all.removeFirst() }
    keys[keyID.value] = all + [made]
    return made
  }

  /// Returns true if there is a key for a datagram, which gives it a possible header.
  func opens(_ datagram: RawSpan) -> Bool { open(datagram) != nil }

  /// Removes the header protection of a datagram of at least 32 bytes.
  ///
  /// - Returns: the header, the datagram without protection, and the key.
  func open(_ datagram: RawSpan) -> (header: FragmentHeader, bytes: [UInt8], key: ReceivingKey)? {
    guard let candidates = keys[KeyID(datagram).value] else { return nil }
    for key in candidates {
      var bytes = datagram.array
      bytes.withMutableBytes { bytes in
        var block = bytes.slice(FragmentHeader.protectedBytes)
        key.headerKey.decrypt(&block)
      }
      if let header = FragmentHeader(bytes.rawBytes), key.isPlausible(header) { return (header, bytes, key) }
    }
    return nil
  }

  /// Opens the fingerprints of a Hello; nil if there is no key for it.
  func readHello(_ packet: RawSpan, keyID: KeyID) -> (first: [UInt8], second: [UInt8])? {
    let end = packet.byteCount - PacketSize.challenge
    for sealed in hellos[keyID.value] ?? [] {
      let body = packet.extracting(end - 64 - PacketSize.tag..<end)
      guard let plain = open(body, nonce: Nonce(type: PacketType.hello.rawValue, counter: 1), key: sealed) else {
        continue
      }
      return (Array(plain[..<32]), Array(plain[32...]))
    }
    return nil
  }

  /// Opens a ciphertext of Noise; nil if it is not authentic.
  func open(_ sealed: RawSpan, nonce: Nonce, key: Sealed) -> [UInt8]? {
    var bytes = sealed.array
    let isAuthentic = bytes.withMutableBytes {
      provider.packetKey(key.key).open(&$0, nonce: nonce, authenticating: key.hash.rawBytes)
    }
    guard isAuthentic else { return nil }
    bytes.removeLast(PacketSize.tag)
    return bytes
  }
}

/// The keys for the packets with one key id.
final class ReceivingKey {
  let headerSecret: Secret
  let headerKey: any HeaderKey
  private let provider: any CryptoProvider
  private var exchangeSecret: Secret?
  private var transportSecret: Secret?
  private var exchangeKey: (any PacketKey)?
  private var transportKey: (any PacketKey)?
  /// The key of X2's key id; the key of X3's static key, and that of its identity.
  var response: KeyRing.Sealed?
  var completion: (staticKey: KeyRing.Sealed, identity: KeyRing.Sealed)?
  var received = ReceivedCounters()

  init(_ header: Secret, provider: any CryptoProvider) {
    headerSecret = header
    headerKey = provider.headerKey(header)
    self.provider = provider
  }

  func set(exchange: Secret, transport: Secret) {
    exchangeSecret = exchange
    transportSecret = transport
    exchangeKey = nil
    transportKey = nil
  }

  /// Returns true if a genuine packet may have this header.
  func isPlausible(_ header: FragmentHeader) -> Bool {
    guard header.reserved == 0, header.count > 0 else { return false }
    switch PacketType(rawValue: header.type) {
    // Section 5 of the specification, header protection
    case .response: return header.counter < 1 << 24
    case .completion: return header.counter == 0
    case .keyConfirm, .acknowledge, .rejected, .rekeyInit, .rekeyComplete, .data: return true
    case .hello, .challenge, nil: return false
    }
  }

  /// The key for data; nil if the log does not have it.
  var transport: (any PacketKey)? {
    if transportKey == nil { transportKey = transportSecret.map { provider.packetKey($0) } }
    return transportKey
  }

  /// The key for control packets; nil if the log does not have it.
  var exchange: (any PacketKey)? {
    if exchangeKey == nil { exchangeKey = exchangeSecret.map { provider.packetKey($0) } }
    return exchangeKey
  }
}

/// The counters of authentic packets, as far back as a window goes.
struct ReceivedCounters {
  private static let words = 64
  /// The highest counter so far.
  private var highest: UInt64 = 0
  private var bits = [UInt64](repeating: 0, count: words)

  /// Adds a counter. Returns false if it was added before. Counters older than the window count as
  /// new.
  mutating func insert(_ counter: UInt64) -> Bool {
    let size = UInt64(Self.words * 64)
    if counter > highest {
      // Clears what the window leaves behind.
      if counter - highest >= size {
        for index in bits.indices { bits[index] = 0 }
      } else {
        for passed in (highest + 1)...counter {
          bits[Int(passed / 64 % UInt64(Self.words))] &= ~(1 << (passed % 64))
        }
      }
      highest = counter
    } else if highest - counter >= size {
      return true
    }
    let word = Int(counter / 64 % UInt64(Self.words))
    let bit: UInt64 = 1 << (counter % 64)
    guard bits[word] & bit == 0 else { return false }
    bits[word] |= bit
    return true
  }
}

/// The reason why a line of a key log cannot be used.
package enum KeyLogError: Error, Equatable, CustomStringConvertible {
  case malformed
  case otherVersion(String)
  case tooManyLines

  package var description: String {
    switch self {
    case .malformed: "the line has not the fields of its kind"
    case .otherVersion(let word):
      "the line begins with '\(word)', not with \(KeyRing.mark); it is no key log, or one of another version"
    case .tooManyLines: "more than \(KeyRing.largestLineCount) lines; leave out old ones"
    }
  }
}
