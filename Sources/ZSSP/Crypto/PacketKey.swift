// SPDX-License-Identifier: Apache-2.0

/// AES-256-GCM (SP 800-38D) under one key, with a 12-byte nonce and a 16-byte tag.
///
/// The endpoint uses one packet key on one thread at a time. A fast implementation allocates
/// nothing for a packet. No implementation may keep memory in proportion to the packets it has
/// processed, because a server holds several keys per session.
public protocol PacketKey: AnyObject {
  /// Encrypts `plaintext` and writes the ciphertext, then the tag, to `output`. `output` is 16
  /// bytes longer than `plaintext` and does not overlap it.
  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan)

  /// Decrypts `message` (ciphertext, then tag) in place. The plaintext is all but the last 16
  /// bytes. If the tag is wrong, the content of `message` is unspecified. `message` is at least 16
  /// bytes long.
  ///
  /// - Returns: true if the tag was right.
  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool

  /// Returns a stream that seals and opens packets of this key in pieces, for messages of several
  /// fragments. It may outlive the key. The default is nil: such messages are then sealed and
  /// opened in one piece, and copied.
  func makeStream() -> (any PacketStream)?

  /// Prefetches the memory that sealing a packet needs into the processor's caches, without waiting
  /// for it. It changes no state. The default does nothing.
  func prefetch()
}

extension PacketKey {
  /// Does nothing.
  public func prefetch() {}

  /// Returns nil: packets are sealed and opened in one piece.
  public func makeStream() -> (any PacketStream)? { nil }
}

/// The direction in which a ``PacketStream`` processes a packet.
public enum PacketDirection: Sendable, Hashable {
  /// Encrypts plaintext.
  case sealing
  /// Decrypts ciphertext.
  case opening
}

/// Seals and opens packets under one ``PacketKey``, one after another, without additional data and
/// in pieces. The output is the same as that of the key for the joined pieces, wherever they are
/// cut.
///
/// The calls for a packet are ``begin(_:nonce:)``, any number of updates, and one of the two
/// finishing functions. Beginning a packet discards an unfinished one. The key may be used in
/// between. A packet causes no allocation.
public protocol PacketStream: AnyObject {
  /// Begins a packet.
  func begin(_ direction: PacketDirection, nonce: Nonce)

  /// Encrypts or decrypts the next bytes of the packet, 0 or more, without the tag. `output` is as
  /// long as `input` and does not overlap it. Decrypted bytes must not be used before the tag was
  /// verified.
  func update(_ input: RawSpan, into output: inout MutableRawSpan)

  /// Encrypts or decrypts the next bytes of the packet in place.
  func update(_ bytes: inout MutableRawSpan)

  /// Ends a sealed packet, and writes its tag, 16 bytes.
  func finish(writingTagTo tag: inout MutableRawSpan)

  /// Ends an opened packet. Returns true if `tag` is its tag, in time that does not depend on the
  /// bytes.
  func finish(expecting tag: RawSpan) -> Bool
}

/// Raw AES-256 (FIPS 197) on single 16-byte blocks under one key, for fragment headers (section 5).
public protocol HeaderKey: AnyObject {
  /// Encrypts the 16 bytes of `block` in place.
  func encrypt(_ block: inout MutableRawSpan)
  /// Decrypts the 16 bytes of `block` in place.
  func decrypt(_ block: inout MutableRawSpan)

  /// Encrypts `count` blocks of 16 bytes in place. The first begins at the start of `bytes`, each
  /// other one `stride` bytes after the one before; `stride` is at least 16. The default encrypts
  /// them one by one.
  func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int)
  /// Decrypts `count` blocks in place, `stride` bytes apart. The default decrypts them one by one.
  func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int)

  /// Prefetches the memory that encryption needs into the processor's caches, without waiting for
  /// it. It changes no state. The default does nothing.
  func prefetch()
}

extension HeaderKey {
  /// Does nothing.
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
