// SPDX-License-Identifier: Apache-2.0

extension HalfOpenHandshake {
  /// A step that a handshake returns after an input. ``Endpoint`` executes the steps, in order.
  enum Step {
    case ask(StoreRequest)
    case work(PublicKeyWork.Kind, Action.Job)
    /// Make a request to the application.
    case askApplication(AcceptRequest)
    /// Wait until there is room for the work on X2.
    case waitForRoom
    /// Send a packet to the handshake's address.
    case send(OutgoingPacket)
    /// Prevent all handshakes and re-keys of this endpoint with this peer from leading to the state
    /// of this name.
    case revoke(Fingerprint, of: PublicKey)
    /// Drop an incomplete X3.
    case forgetIncomplete
    case drop(DropReason)
    /// Tell the application that its accept request leads to no session.
    case withdraw(RequestID, DropReason)
    /// Turn the handshake into a session.
    case establish(Outcome)
    /// Forget the handshake, for a reason that is counted, or without one.
    case forget(DropReason?)
  }

  /// The session that a handshake leads to.
  struct Outcome {
    let peer: PublicKey
    let acceptance: Session.Acceptance
  }
}
