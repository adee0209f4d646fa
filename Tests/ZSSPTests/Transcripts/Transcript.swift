// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import ZSSP

/// A run of both sides that was recorded, or computed by a reference model: `Scripts/trim-vectors` describes the fields.
struct Transcript: Decodable, Sendable {
  let description: String
  let profile: String
  let mtu: Int
  let identity: Hex
  let settings: RecordedSettings
  let `static`: StaticKeys
  let storesBefore: [String: [String: RecordedPair]]
  let storesAfter: [String: [String: RecordedPair]]
  let steps: [Step]
  let packets: [Packet]
  let alice: Trace
  let bob: Trace
  /// The keys after each handshake, where a reference model tells them.
  let handshakes: [Handshake]?
  /// `d || z` of FIPS 203, from which Alice's KEM key can be made again; for ML-KEM only.
  let kemSeed: Hex?

  private static let loaded = Mutex<[String: Transcript]>([:])

  /// The transcript of that name. It is read once.
  static func load(_ name: String) throws -> Transcript {
    try loaded.withLock { loaded in
      if let transcript = loaded[name] { return transcript }
      let file = try #require(
        Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors/Transcripts"))
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let transcript = try decoder.decode(Transcript.self, from: Data(contentsOf: file))
      loaded[name] = transcript
      return transcript
    }
  }

  func trace(of side: Side) -> Trace { side == .alice ? alice : bob }

  /// The message that a packet is part of.
  func message(inPacket index: Int) -> [UInt8]? {
    steps.first { $0.action == .send && $0.sends?.contains(index) == true }?.payload?.bytes
  }
}

/// The one whose part is played.
enum Side: String, Decodable, Sendable, CaseIterable {
  case alice
  case bob

  var role: Role { self == .alice ? .initiator : .responder }
  var other: Side { self == .alice ? .bob : .alice }
  /// Where the side is in a replay.
  var address: Address { Address(ipv4: 0x0A00_0001, port: self == .alice ? 1001 : 1002) }
  /// What the recorded peers fed into the marks of challenges: a name, after its size as eight little-endian bytes.
  var recordedAddress: [UInt8] {
    let name = Array("addr-\(rawValue)".utf8)
    return [UInt8(name.count), 0, 0, 0, 0, 0, 0, 0] + name
  }
}

extension Transcript {
  struct RecordedSettings: Decodable, Sendable {
    struct Flags: Decodable, Sendable {
      let pi1, pi2, pi3, pi4: Bool
      let rejectAll, challenge: Bool?

      var flags: SecurityFlags {
        var flags: SecurityFlags = []
        if pi1 { flags.insert(.helloRequiresRatchet) }
        if pi2 { flags.insert(.initiatorDisallowsDowngrade) }
        if pi3 { flags.insert(.responderDisallowsDowngrade) }
        if pi4 { flags.insert(.responderRejectsSilently) }
        return flags
      }
    }
    let aliceFlags, bobFlags: Flags
    let fragmentAssemblyTimeout, initialOfferTimeout, rekeyAfterTime, rekeyTimeMaxJitter, rekeyTimeout, resendTime: Int
  }

  struct StaticKeys: Decodable, Sendable {
    let alicePrivate, alicePublic, bobPrivate, bobPublic: Hex

    func privateBytes(of side: Side) -> [UInt8] { side == .alice ? alicePrivate.bytes : bobPrivate.bytes }
    func publicBytes(of side: Side) -> [UInt8] { side == .alice ? alicePublic.bytes : bobPublic.bytes }
  }

  struct Step: Decodable, Sendable {
    enum Action: String, Decodable {
      case open, receive, send, service
      case networkDrops = "network_drops"
    }
    struct RecordedEvent: Decodable {
      let type: String
      let kind: String?
    }
    let action: Action
    let actor: Side?
    let t: Int64
    let sends: [Int]?
    let packet: Int?
    let payload: Hex?
    let event: RecordedEvent?
  }

  struct Packet: Decodable, Sendable {
    let from: Side
    let t: Int64
    let type: UInt8
    let hex: Hex
  }

  struct Trace: Decodable, Sendable {
    let tape: [Tape.Entry]
    let noise: [NoiseState]
    let derived: [DerivedPair]
    let stored: [Swap]?
    let asked: [Question]
  }

  /// What a Noise operation left behind: `h`, or `ck` and `k`.
  struct NoiseState: Decodable, Sendable {
    let h, ck, k: Hex?
  }

  struct DerivedPair: Decodable, Sendable {
    let label: String
    let first, second: Hex
  }

  struct Swap: Decodable, Sendable {
    let expected, new: RecordedPair
  }

  struct Question: Decodable, Sendable {
    let peer: Hex
    let accepted: Bool
  }

  struct RecordedState: Decodable, Sendable {
    let key, fingerprint: Hex
    let chainLen: UInt64

    var state: RatchetState {
      RatchetState(
        key: key.bytes.secret, fingerprint: Fingerprint(fingerprint.bytes.rawBytes),
        chainLength: chainLen)
    }
  }

  struct RecordedPair: Decodable, Sendable {
    let state1: RecordedState
    let state2: RecordedState?

    var pair: RatchetPair { RatchetPair(state1.state, state2?.state) }
  }

  /// The keys after a handshake. Those with two are for what goes to Alice, and what goes to Bob.
  struct Handshake: Decodable, Sendable {
    let h, ck, ratchetKey, ratchetFingerprint: Hex
    let kekTo, nkTo, headerKeyTo: [Hex]
  }
}

/// Bytes, written as hexadecimal digits.
struct Hex: Decodable, Sendable, Hashable {
  let bytes: [UInt8]

  init(from decoder: any Decoder) throws {
    bytes = try [UInt8](hex: decoder.singleValueContainer().decode(String.self))
  }
}
