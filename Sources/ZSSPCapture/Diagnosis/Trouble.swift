// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// Something in a capture that prevents or hinders a session.
package struct Trouble: Equatable {
  package enum Kind: String, Hashable, CaseIterable {
    /// A Hello was repeated, and nothing came back.
    case unansweredHello
    /// Hellos are answered, and the handshake begins again and again.
    case unfinishedHandshake
    /// An answer came from another address than was asked.
    case answerFromElsewhere
    /// A Hello that answers a challenge is challenged again.
    case challengeLoop
    /// ICMP says that datagrams are larger than the path takes.
    case tooBig
    /// Datagrams that are larger than the path takes were sent after ICMP had said so.
    case sentTooBig
    /// ICMP says that nothing listens.
    case portUnreachable
    /// ICMP says that a firewall refuses the datagrams.
    case prohibited
    /// ICMP says that there is no way to the host.
    case unreachable
    /// Routers or hosts cut datagrams into IP fragments.
    case cutByIP
    /// An IP fragment never came.
    case missingIPFragment
    /// IP fragments overlap, or do not fit together.
    case badIPFragments
    /// A fragment of a packet never came.
    case missingFragment
    /// A datagram came more than once.
    case repeated
    /// A packet was received before (needs keys).
    case replay
    /// A tag is wrong (needs keys).
    case notAuthentic
    /// K1 or K2 is repeated, and the re-key does not go on (needs keys).
    case rekeyFails
    /// The responder refused, or the peer closed (needs keys).
    case rejected
  }

  package let kind: Kind
  /// The sender and the receiver of the datagrams.
  package let source: Address
  package let destination: Address
  /// The number of times that it was seen.
  package internal(set) var count: UInt64
  /// The frame and the time of the first.
  package let firstFrame: UInt64
  package let firstTime: Int64
  package internal(set) var lastTime: Int64
  /// The observation in words.
  package internal(set) var text: String
}

extension Trouble {
  /// The likely reasons, and what to do.
  package var advice: String {
    switch kind {
    case .unansweredHello:
      "nothing listens at that address, a firewall drops the datagrams, the initiator has another public key of the "
        + "responder or another profile, or the responder requires a ratchet (persistent mode) that it does not know"
    case .unfinishedHandshake:
      "the two sides differ in a ratchet and one of them refuses to go on without it, or X3 or its answer is lost: "
        + "compare their logs"
    case .answerFromElsewhere:
      "a NAT or a firewall before the initiator drops such answers: let the responder listen on the address that is asked"
    case .challengeLoop:
      "the initiator's address or port changes between its Hellos (NAT), the responder is several hosts without "
        + "steering, or it is overloaded"
    case .tooBig, .sentTooBig:
      "a tunnel finds the size of a path itself (path-mtu = \"discover\"); otherwise lower the size of datagrams (--mtu)"
    case .portUnreachable: "no process listens on that port: start it, or correct the port"
    case .prohibited: "allow UDP to that port in the firewall that answered"
    case .unreachable: "correct the address, or the route to it"
    case .cutByIP: "send smaller datagrams (datagram, --mtu): many firewalls drop IP fragments"
    case .missingIPFragment: "send smaller datagrams (datagram, --mtu): something on the path drops IP fragments"
    case .badIPFragments:
      "receivers drop such datagrams (RFC 5722): a forgery, or a sender that uses the number of a packet again too soon"
    case .missingFragment: "datagrams are lost, or a firewall drops those of one size"
    case .repeated: "a handshake that is sent again (X3), a replay, or a capture that sees each datagram twice"
    case .replay: "an attacker or a network that sends datagrams twice; receivers drop them"
    case .notAuthentic: "a forgery, or a datagram that was damaged on its way"
    case .rekeyFails: "the peer is gone, or answers are lost; the session ends after 60 s"
    case .rejected: "the peer's application refused the key, or closed the session: see its log"
    }
  }
}

/// The troubles of a capture: a bounded number of different ones, and a count of the others.
struct TroubleList {
  struct Key: Hashable {
    let kind: Trouble.Kind
    let source: Address
    let destination: Address
  }

  let capacity: Int
  private(set) var troubles: [Trouble] = []
  private var places: [Key: Int] = [:]
  /// The number of troubles for which there was no room.
  private(set) var omitted: UInt64 = 0

  init(capacity: Int) { self.capacity = capacity }

  /// Adds a trouble, or counts one of the same kind between the same addresses.
  mutating func add(
    _ kind: Trouble.Kind, from source: Address, to destination: Address, frame: UInt64, at time: Int64,
    until last: Int64? = nil, count: UInt64 = 1, text: @autoclosure () -> String
  ) {
    let key = Key(kind: kind, source: source, destination: destination)
    if let place = places[key] {
      troubles[place].count &+= count
      troubles[place].lastTime = max(troubles[place].lastTime, last ?? time)
      return
    }
    guard troubles.count < capacity else {
      omitted &+= 1
      return
    }
    places[key] = troubles.count
    troubles.append(
      Trouble(
        kind: kind, source: source, destination: destination, count: count, firstFrame: frame, firstTime: time,
        lastTime: last ?? time, text: text()))
  }
}
