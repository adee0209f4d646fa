// SPDX-License-Identifier: Apache-2.0
import ZSSP

#if Tracing
  import Tracing

  /// The tracing span `zssp.handshake` of a handshake that a task waits for; a child of the task's
  /// span, if any.
  ///
  /// | attribute | value |
  /// |---|---|
  /// | `zssp.role` | `initiator` or `responder` |
  /// | `zssp.peer` | the peer's static key, once it is proved |
  /// | `network.peer.address` | the peer's address, once its key is proved |
  /// | `zssp.ratchet.chain_length` | the number of handshakes in the ratchet chain |
  struct HandshakeSpan {
    private let span: any Span

    /// Starts the span.
    init(_ role: Role) {
      span = startSpan("zssp.handshake", ofKind: role == .initiator ? .client : .server)
      span.attributes["zssp.role"] = role == .initiator ? "initiator" : "responder"
    }

    /// Ends the span.
    func end(_ result: Result<EstablishedSession, UDPError>) {
      switch result {
      case .success(let session):
        span.attributes["zssp.peer"] = "\(session.establishment.peer)"
        span.attributes["network.peer.address"] = "\(session.establishment.address)"
        span.attributes["zssp.ratchet.chain_length"] = Int64(clamping: session.establishment.chainLength)
      case .failure(let error):
        span.recordError(error)
        span.setStatus(SpanStatus(code: .error, message: "\(error)"))
      }
      span.end()
    }
  }
#else
  /// A placeholder: without the trait `Tracing` a handshake has no span.
  struct HandshakeSpan {
    init(_ role: Role) {}
    func end(_ result: Result<EstablishedSession, UDPError>) {}
  }
#endif
