// SPDX-License-Identifier: Apache-2.0

/// A record of something that an endpoint did, for people who look for faults. Records contain no
/// secrets: no keys, no identities, no messages, and of a peer's public key only the beginning.
///
/// Only handshakes and control packets have records. Data is only counted.
package struct TraceRecord: Sendable {
  /// The session or half-open handshake that a record is about.
  package enum Owner: Sendable, Hashable {
    case endpoint
    case session(SessionID)
    /// The number of the half-open handshake among those of the endpoint.
    case halfOpen(Int)
  }

  /// The kinds of records.
  package enum Event: Sendable {
    /// The owner entered a state, or a step of one. `ends` and `resends` are the times until the
    /// state times out and until its packet is sent again.
    case state(String, from: String?, ends: Duration?, resends: Duration?)
    case sent(PacketType, size: Int, datagrams: Int, to: Address)
    case received(PacketType, size: Int, from: Address)
    /// A packet, or an answer to a request, was dropped. Nil if it was no whole packet.
    case dropped(PacketType?, DropReason)
    /// The deadline that is due, by name.
    case timer(String)
    case storeRequest(RequestID, String)
    case storeAnswer(RequestID, String, isAwaited: Bool)
    case work(RequestID, PublicKeyWork.Kind)
    case workDone(RequestID, hasFailed: Bool, isAwaited: Bool)
    case acceptRequest(RequestID)
    case acceptDecision(RequestID, String, isAwaited: Bool)
    /// An event that the application gets.
    case event(String, details: String?)
    /// Counts since the record before.
    case traffic(datagramsIn: UInt64, datagramsOut: UInt64, messagesIn: UInt64, messagesOut: UInt64)
    /// Dropped datagrams and packets since the record before, also those with records of their own.
    case drops(DropReason, UInt64)
    /// Records that were left out, because nobody took them.
    case omitted(Int)
  }

  package let time: Instant
  package let owner: Owner
  package let event: Event

  package init(time: Instant, owner: Owner, event: Event) {
    self.time = time
    self.owner = owner
    self.event = event
  }
}

/// The receiver of an endpoint's records. The endpoint keeps records if it has one, and never calls
/// it; its driver does.
package protocol TraceSink: AnyObject, Sendable {
  /// Takes records, in order.
  ///
  /// - Parameters:
  ///   - records: The records, possibly none.
  ///   - shard: The index of the endpoint among those of one port.
  func write(_ records: [TraceRecord], of shard: Int)
}

extension PacketType {
  /// The name in the specification.
  package var name: String {
    switch self {
    case .hello: "X1"
    case .response: "X2"
    case .completion: "X3"
    case .keyConfirm: "C1"
    case .acknowledge: "C2"
    case .rekeyInit: "K1"
    case .rekeyComplete: "K2"
    case .rejected: "D"
    case .data: "P"
    case .challenge: "challenge"
    }
  }

  /// The section of the specification that defines the packet.
  package var section: String {
    switch self {
    case .hello, .response, .completion, .rejected, .keyConfirm, .acknowledge: "6"
    case .rekeyInit, .rekeyComplete: "7"
    case .challenge: "8"
    case .data: "4"
    }
  }
}
