// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// A datagram of a capture, as far as it could be read.
package struct DatagramEvent {
  /// The kind of a datagram.
  package enum Kind: Equatable {
    /// Shorter than 32 bytes. Every receiver drops it (section 5).
    case tooShort
    /// Key id 0, and a header that no packet has.
    case malformed
    /// A fragment of X1.
    case hello
    /// A challenge.
    case challenge
    /// A packet with header protection, of which the key is not known.
    case protected
    /// A packet whose header was read with a key.
    case opened
    /// An error of ICMP that quotes a datagram in the other direction.
    case icmp(ICMPError)
  }

  /// The content of a packet. A packet of several fragments has it with the last one.
  package enum Content: Equatable {
    /// The datagram cannot be read: fragments are missing, or a key.
    case none
    /// A whole X1.
    case hello(keyID: KeyID, answersChallenge: Bool)
    /// A challenge for the Hello with this key id.
    case challenge(keyID: KeyID, counter: UInt64)
    /// A whole X2; the key id is nil if it could not be read.
    case response(keyID: KeyID?)
    /// A whole X3; the size of the identity in bytes is nil if it could not be read.
    case completion(identitySize: Int?)
    /// C1, C2, K1, K2 or D.
    case control
    /// A message of this size in bytes, and the inner packet's IP version; 0 for other messages.
    case data(size: Int, inner: UInt8)
    /// The tag is wrong.
    case notAuthentic
    /// The packet was received before.
    case replay
    /// The key log has no key for the content.
    case noKey
  }

  /// The number of the frame, from 1.
  package var frame: UInt64
  /// The time in nanoseconds since 1970, UTC.
  package var time: Int64
  package var source: Address
  package var destination: Address
  /// The size in bytes of the UDP payload, or of its part if the capture joins several datagrams.
  package var size: Int
  /// The number of the datagram among those that the capture joined, from 0, and their count.
  package var segment = 0
  package var segmentCount = 1
  /// True if routers must not cut the IP packet.
  package var isDontFragment = false
  /// True if the IP packet came in fragments.
  package var wasCutByIP = false
  /// The size of the IP packet in bytes.
  package var packetSize = 0
  package var kind = Kind.malformed
  /// The header, if it could be read.
  package var header: FragmentHeader?
  package var content = Content.none
  /// The fields for people who want all; empty unless the decoder collects them.
  package var fields: [Field] = []
  /// The place of the flow in the decoder's table.
  var flow = 0
  /// True if the sender is the flow's first.
  var fromFirst = true

  /// The possible kinds of a protected packet by its size and place; nil for most.
  package var guess: StaticString?
  /// The key id of the header.
  package var keyID = KeyID.none

  init(frame: UInt64, time: Int64, source: Address, destination: Address, size: Int) {
    self.frame = frame
    self.time = time
    self.source = source
    self.destination = destination
    self.size = size
  }
}

/// A field of a packet, with the section of the specification that describes it.
package struct Field: Equatable {
  package enum Value: Equatable {
    case number(UInt64)
    case bytes([UInt8])
    case text(String)
  }

  /// The name, as in JSON.
  package var name: String
  package var value: Value
  /// The section of Documentation/specification.md.
  package var section: Int

  init(_ name: String, _ value: Value, section: Int) {
    self.name = name
    self.value = value
    self.section = section
  }
}

extension PacketType {
  /// The name in the specification.
  package var name: StaticString {
    switch self {
    case .hello: "X1 Hello"
    case .response: "X2 Response"
    case .completion: "X3 Completion"
    case .keyConfirm: "C1 KeyConfirm"
    case .acknowledge: "C2 Ack"
    case .rekeyInit: "K1 RekeyInit"
    case .rekeyComplete: "K2 RekeyComplete"
    case .rejected: "D Rejected"
    case .data: "P Data"
    case .challenge: "Challenge"
    }
  }
}
