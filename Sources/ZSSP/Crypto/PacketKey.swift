// SPDX-License-Identifier: Apache-2.0

/// AES-256-GCM (SP 800-38D) under one key, with a 12-byte nonce and a 16-byte tag.
///
/// The endpoint uses one packet key on one thread at a time. A key that is made for speed allocates nothing for a packet;
/// none keeps memory in proportion to the packets it has seen, because a server holds several keys per session.
public protocol PacketKey: AnyObject {
  /// Writes the ciphertext of `plaintext` and then the tag to `output`, which is 16 bytes longer than `plaintext` and
  /// does not overlap it.
  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan)

  /// Decrypts `message` (ciphertext, then tag) where it lies and says whether the tag was right. The plaintext is all
  /// but the last 16 bytes. When the tag is wrong the content of `message` is unspecified. `message` is at least 16 bytes long.
  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool

  /// Something that seals and opens packets of this key piece by piece, for messages of several fragments; nil where there is
  /// no such thing, which is the default. Then such a message is sealed and opened in one piece, and copied. It may
  /// outlive the key.
  func makeStream() -> (any PacketStream)?

  /// Has the memory that sealing a packet needs fetched into the processor's caches, without waiting for it. It changes nothing, and by
  /// default does nothing.
  func prefetch()
}

extension PacketKey {
  /// Nothing is fetched.
  public func prefetch() {}

  /// Nil: packets are sealed and opened in one piece.
  public func makeStream() -> (any PacketStream)? { nil }
}

/// What a ``PacketStream`` does with a packet.
public enum PacketDirection: Sendable, Hashable {
  /// Plaintext goes in and ciphertext comes out.
  case sealing
  /// Ciphertext goes in and plaintext comes out.
  case opening
}

/// Packets under one ``PacketKey``, one after another, each without additional data and piece by piece: what comes out is what
/// the key itself makes of the pieces in a row, however these are cut.
///
/// Calls come in this order: ``begin(_:nonce:)``, any number of updates, one of the two that finish. A packet that is not
/// finished is forgotten when the next begins. The key may be used in between. Nothing is allocated for a packet.
public protocol PacketStream: AnyObject {
  /// Begins a packet.
  func begin(_ direction: PacketDirection, nonce: Nonce)

  /// Encrypts or decrypts the next 0 or more bytes of the packet, without the tag. `output` is as long as `input` and does not
  /// overlap it. What is decrypted is worth nothing until the tag was right.
  func update(_ input: RawSpan, into output: inout MutableRawSpan)

  /// The same where the bytes lie.
  func update(_ bytes: inout MutableRawSpan)

  /// Ends a packet that was sealed, and writes its tag, 16 bytes.
  func finish(writingTagTo tag: inout MutableRawSpan)

  /// Ends a packet that was opened, and says whether `tag` is its tag, in time that does not depend on the bytes.
  func finish(expecting tag: RawSpan) -> Bool
}

/// Raw AES-256 (FIPS 197) on single 16-byte blocks under one key, for fragment headers (section 5).
public protocol HeaderKey: AnyObject {
  /// Encrypts the 16 bytes of `block` where they lie.
  func encrypt(_ block: inout MutableRawSpan)
  /// Decrypts the 16 bytes of `block` where they lie.
  func decrypt(_ block: inout MutableRawSpan)

  /// Encrypts `count` blocks where they lie: the first at the start of `bytes`, each other `stride` bytes after the one
  /// before, at least 16. Unless a provider can do better, one after another.
  func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int)
  /// Decrypts `count` blocks where they lie, `stride` bytes apart.
  func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int)

  /// Has the memory that encryption needs fetched into the processor's caches, without waiting for it. It changes nothing, and by
  /// default does nothing.
  func prefetch()
}

extension HeaderKey {
  /// Nothing is fetched.
  public func prefetch() {}

  /// Encrypts the blocks one after another.
  public func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
    for index in 0..<count {
      var block = bytes.slice(index * stride..<index * stride + 16)
      encrypt(&block)
    }
  }

  /// Decrypts the blocks one after another.
  public func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
    for index in 0..<count {
      var block = bytes.slice(index * stride..<index * stride + 16)
      decrypt(&block)
    }
  }
}
