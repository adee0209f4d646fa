// SPDX-License-Identifier: Apache-2.0

/// Messages of one session that are sent together, so that their common state is looked up once.
///
/// ``Endpoint/send(on:at:_:)`` creates a run and ends it. While it exists nothing else can send on
/// the session, so no counter is used twice.
public struct SendRun: ~Copyable {
  /// Datagrams whose headers are not protected yet: `count` datagrams of `size` bytes each, the
  /// first at `start`.
  private struct Unprotected {
    var start = 0
    var size = 0
    var count = 0
  }

  /// The number of headers that are protected at once.
  private static let protectedAtOnce = 64

  var outbox = DatagramBatch()
  /// The counter of the next message.
  private(set) var counter: UInt64
  /// The number of messages in the run.
  public private(set) var count = 0
  /// The size of these messages together, in bytes.
  public private(set) var byteCount = 0

  /// The counter at which the key is used up (section 4).
  private let counterLimit: UInt64
  /// The keys, which the run has exclusively.
  var path: SendContext
  let address: Address
  /// The IPv4 type of service or IPv6 traffic class of the following datagrams: six bits of DSCP
  /// and two of ECN. The default is 0. Datagrams of different classes are never in one
  /// ``DatagramBatch/Run``.
  public var trafficClass: UInt8 = 0
  /// The largest datagram that the session's path accepts, in bytes.
  private let limit: Int
  /// The largest datagram of all sessions, in bytes.
  private let mtu: Int
  private let largestMessage: Int
  private var unprotected = Unprotected()

  // Inlined, because a call would copy all settings.
  @inline(__always)
  init(
    _ path: consuming SendContext, session: borrowing Session, settings: borrowing Settings
  ) {
    counter = session.core.keys.counter
    counterLimit = path.firstCounter + settings.keyUseLimit
    self.path = path
    address = session.address
    limit = session.core.datagramLimit(settings)
    mtu = settings.mtu
    largestMessage = settings.largestMessage
  }

  /// Seals a message of 0 to ``Settings/largestMessage`` bytes.
  ///
  /// - Throws: ``SendError/messageTooLarge(size:limit:)`` or ``SendError/keyExhausted``.
  public mutating func append(_ message: RawSpan) throws(SendError) { try append(message, inDatagramsOf: limit) }

  // [DEC-87]
  /// Seals a message as ``append(_:)`` does, but in datagrams of up to ``Settings/mtu`` bytes,
  /// although the session's path may not accept them. Such a message probes the path.
  ///
  /// - Throws: ``SendError/messageTooLarge(size:limit:)`` or ``SendError/keyExhausted``.
  public mutating func appendProbe(_ message: RawSpan) throws(SendError) { try append(message, inDatagramsOf: mtu) }

  @inline(__always)
  private mutating func append(_ message: RawSpan, inDatagramsOf limit: Int) throws(SendError) {
    // [FRAG-8]
    guard message.byteCount <= largestMessage else {
      throw .messageTooLarge(size: message.byteCount, limit: largestMessage)
    }
    // [CTR-10]
    guard counter < counterLimit else { throw .keyExhausted }
    let size = message.byteCount + PacketSize.tag
    if size + FragmentHeader.size <= limit {
      appendWhole(message, size: size)
    } else {
      // [DEC-87]
      appendFragments(message, size: size, plan: FragmentPlan(size: size, largestOf: limit))
    }
    // [CTR-1]
    counter += 1
    count += 1
    byteCount += message.byteCount
  }

  /// Seals a message directly into the outbox.
  private mutating func appendWhole(_ message: RawSpan, size: Int) {
    let datagramSize = size + FragmentHeader.size
    // [KID-3]
    let header = FragmentHeader(keyID: path.keyID, number: 0, count: 1, type: .data, counter: counter)
    prepareDatagram(size: datagramSize)
    Self.seal(
      message, header: header, under: path.packetKey, into: &outbox, size: datagramSize, to: address,
      trafficClass: trafficClass)
  }

  /// A separate function that borrows the key, which costs no reference count.
  @inline(never)
  private static func seal(
    _ message: RawSpan, header: FragmentHeader, under key: any PacketKey, into outbox: inout DatagramBatch,
    size: Int, to address: Address, trafficClass: UInt8
  ) {
    outbox.append(size: size, to: address, trafficClass: trafficClass) { datagram in
      header.write(to: &datagram)
      var body = datagram.slice(FragmentHeader.size..<size)
      key.seal(message, nonce: header.nonce, authenticating: RawSpan(), into: &body)
    }
  }

  /// Announces a datagram of `size` bytes. Its header is protected later, together with those of
  /// its neighbours.
  @inline(__always)
  mutating func prepareDatagram(size: Int) {
    if size != unprotected.size || unprotected.count == Self.protectedAtOnce {
      protectHeaders()
      unprotected = Unprotected(start: outbox.byteCount, size: size)
    }
    unprotected.count += 1
  }

  /// The number of counters used since the key was made, which is at least its number of uses.
  var uses: UInt64 { counter - path.firstCounter }

  /// Ends the run, and returns the context that it was created with.
  consuming func finish() -> SendContext { path }

  /// Protects the headers that are not protected yet.
  mutating func protectHeaders() {
    let blocks = unprotected
    unprotected = Unprotected()
    guard blocks.count > 0 else { return }
    Self.protect(blocks, in: &outbox, by: path.headerKey)
  }

  /// A separate function that borrows the key, as
  /// ``seal(_:header:under:into:size:to:trafficClass:)`` does.
  @inline(never)
  private static func protect(_ blocks: Unprotected, in outbox: inout DatagramBatch, by key: any HeaderKey) {
    outbox.rewrite(from: blocks.start) { bytes in
      var covered = bytes.slice(FragmentHeader.protectedBytes.lowerBound..<bytes.byteCount)
      key.encrypt(&covered, stride: blocks.size, count: blocks.count)
    }
  }
}
