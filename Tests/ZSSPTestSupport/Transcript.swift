// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
package import ZSSP

/// A run of both sides that was recorded, or computed by a reference model: `Scripts/trim-vectors`
/// describes the fields.
package struct Transcript: Decodable, Sendable {
  package let description: String
  package let profile: String
  package let mtu: Int
  package let identity: Hex
  package let settings: RecordedSettings
  package let `static`: StaticKeys
  package let storesBefore: [String: [String: RecordedPair]]
  package let storesAfter: [String: [String: RecordedPair]]
  package let steps: [Step]
  package let packets: [Packet]
  package let alice: Trace
  package let bob: Trace
  /// The keys after each handshake, where a reference model tells them.
  package let handshakes: [Handshake]?
  /// `d || z` of FIPS 203, from which Alice's KEM key can be made again; for ML-KEM only.
  package let kemSeed: Hex?

  private static let loaded = Mutex<[String: Transcript]>([:])

  /// The transcript of that name. It is read once.
  package static func load(_ name: String) throws -> Transcript {
    try loaded.withLock { loaded in
      if let transcript = loaded[name] { return transcript }
      let file = Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors/Transcripts")
      guard let file else { throw MissingTranscript(name: name) }
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let transcript = try decoder.decode(Transcript.self, from: Data(contentsOf: file))
      loaded[name] = transcript
      return transcript
    }
  }

  package func trace(of side: Side) -> Trace { side == .alice ? alice : bob }

  /// The message that a packet is part of.
  package func message(inPacket index: Int) -> [UInt8]? {
    steps.first { $0.action == .send && $0.sends?.contains(index) == true }?.payload?.bytes
  }
}

/// The one whose part is played.
package enum Side: String, Decodable, Sendable, CaseIterable {
  case alice
  case bob

  package var role: Role { self == .alice ? .initiator : .responder }
  package var other: Side { self == .alice ? .bob : .alice }
  /// The address of the side in a replay.
  package var address: Address { Address(ipv4: 0x0A00_0001, port: self == .alice ? 1001 : 1002) }
  /// The bytes that recorded peers put into the marks of challenges: a name, after its size as
  /// eight little-endian bytes.
  package var recordedAddress: [UInt8] {
    let name = Array("addr-\(rawValue)".utf8)
    return [UInt8(name.count), 0, 0, 0, 0, 0, 0, 0] + name
  }
}

extension Transcript {
  package struct RecordedSettings: Decodable, Sendable {
    package struct Flags: Decodable, Sendable {
      package let pi1, pi2, pi3, pi4: Bool
      package let rejectAll, challenge: Bool?

      package var flags: SecurityFlags {
        var flags: SecurityFlags = []
        if pi1 { flags.insert(.helloRequiresRatchet) }
        if pi2 { flags.insert(.initiatorDisallowsDowngrade) }
        if pi3 { flags.insert(.responderDisallowsDowngrade) }
        if pi4 { flags.insert(.responderRejectsSilently) }
        return flags
      }
    }
    package let aliceFlags, bobFlags: Flags
    package let fragmentAssemblyTimeout, initialOfferTimeout, rekeyAfterTime: Int
    package let rekeyTimeMaxJitter, rekeyTimeout, resendTime: Int

    package func flags(of side: Side) -> SecurityFlags { side == .alice ? aliceFlags.flags : bobFlags.flags }
  }

  package struct StaticKeys: Decodable, Sendable {
    package let alicePrivate, alicePublic, bobPrivate, bobPublic: Hex

    package func privateBytes(of side: Side) -> [UInt8] { side == .alice ? alicePrivate.bytes : bobPrivate.bytes }
    package func publicBytes(of side: Side) -> [UInt8] { side == .alice ? alicePublic.bytes : bobPublic.bytes }
  }

  package struct Step: Decodable, Sendable {
    package enum Action: String, Decodable {
      case open, receive, send, service
      case networkDrops = "network_drops"
    }
    package struct RecordedEvent: Decodable {
      package let type: String
      package let kind: String?
    }
    package let action: Action
    package let actor: Side?
    package let t: Int64
    package let sends: [Int]?
    package let packet: Int?
    package let payload: Hex?
    package let event: RecordedEvent?
  }

  package struct Packet: Decodable, Sendable {
    package let from: Side
    package let t: Int64
    package let type: UInt8
    package let hex: Hex
  }

  package struct Trace: Decodable, Sendable {
    package let tape: [Tape.Entry]
    package let noise: [NoiseState]
    package let derived: [DerivedPair]
    package let stored: [Swap]?
    package let asked: [Question]
  }

  /// The values that a Noise operation left behind: `h`, or `ck` and `k`.
  package struct NoiseState: Decodable, Sendable {
    package let h, ck, k: Hex?
  }

  package struct DerivedPair: Decodable, Sendable {
    package let label: String
    package let first, second: Hex
  }

  package struct Swap: Decodable, Sendable {
    package let expected, new: RecordedPair
  }

  package struct Question: Decodable, Sendable {
    package let peer: Hex
    package let accepted: Bool
  }

  package struct RecordedState: Decodable, Sendable {
    package let key, fingerprint: Hex
    package let chainLen: UInt64

    package var state: RatchetState {
      RatchetState(
        key: Secret(copying: key.bytes.rawBytes), fingerprint: Fingerprint(fingerprint.bytes.rawBytes),
        chainLength: chainLen)
    }
  }

  package struct RecordedPair: Decodable, Sendable {
    package let state1: RecordedState
    package let state2: RecordedState?

    package var pair: RatchetPair { RatchetPair(state1.state, state2?.state) }
  }

  /// The keys after a handshake. Those with two are for what goes to Alice, and what goes to Bob.
  package struct Handshake: Decodable, Sendable {
    package let h, ck, ratchetKey, ratchetFingerprint: Hex
    package let kekTo, nkTo, headerKeyTo: [Hex]
  }
}

extension Transcript {
  /// The pairs in a recorded store, by peer.
  package static func pairs(_ recorded: [String: RecordedPair]) throws -> [PublicKey: RatchetPair] {
    var pairs: [PublicKey: RatchetPair] = [:]
    for (peer, pair) in recorded {
      let bytes = try JSONDecoder().decode(Hex.self, from: JSONEncoder().encode(peer)).bytes
      guard let key = PublicKey(bytes) else { throw MissingTranscript(name: "the peer of a stored pair") }
      pairs[key] = pair.pair
    }
    return pairs
  }
}

extension RatchetPair {
  /// Returns true if the keys are the same too, which a store never compares.
  package func isIdentical(to other: RatchetPair) -> Bool {
    guard self == other, state1.key == other.state1.key else { return false }
    guard let state2, let other = other.state2 else { return true }
    return state2.key == other.key
  }
}

/// The error of a recording that is missing.
package struct MissingTranscript: Error {
  let name: String
}

/// Bytes, written as hexadecimal digits.
package struct Hex: Decodable, Sendable, Hashable {
  package let bytes: [UInt8]

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let digits = try container.decode(String.self).map(\.hexDigitValue)
    guard digits.count.isMultiple(of: 2), !digits.contains(nil) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no hexadecimal digits")
    }
    let values = digits.compactMap(\.self)
    bytes = stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
  }
}
