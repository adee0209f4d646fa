// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import ZSSP
import ZSSPNIO

struct Connect: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Open a session to a peer and exchange messages.",
    discussion: """
      Lines of standard input are sent as messages unless --send or --echo is given. A session that ends is opened again, \
      with pauses of up to 30 s between attempts, unless --once is given.
      """)

  @Option(
    help: ArgumentHelp(
      "Connect to this address: gw.example:4000, 192.0.2.1:4000 or [2001:db8::1]:4000. All addresses of a name are tried.",
      valueName: "host:port"))
  var to: String

  @Option(help: ArgumentHelp("Expect this public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
  var peer: String

  @Option(help: ArgumentHelp("Bind to this local address. Default: any.", valueName: "addr:port"))
  var bind: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Fail if there is no session after this many seconds. Later attempts have the same limit.", valueName: "seconds"))
  var timeout = 30.0

  @Flag(help: "Open one session, and fail when it ends by itself. Default: open it again.")
  var once = false

  @OptionGroup var options: SessionOptions

  func validate() throws {
    try OptionRange.check(timeout, of: "--timeout", upTo: 1e9, unit: "seconds")
  }

  func run() async throws {
    let log = options.logging.log
    if let log { Terminal.use(log) }
    _ = try AddressReader.isNumeric(to, option: "--to")
    let metricsAddress = try options.metrics.address()
    let peerKey = try KeyReader.publicKey(peer, option: "--peer")
    let staticKey = try options.staticKey()
    let reporter = Reporter(json: options.json)
    let conversationOptions = try Conversation.Options(options)
    let ratchets = try await options.security.makeRatchets(peers: [peerKey])
    try await ratchets.store.whileOpen {
      var configuration = try options.configuration(staticKey, flags: ratchets.flags)
      let trace = try options.trace.apply(to: &configuration, title: "zssp connect --to \(to)")
      let endpoint = try await Tool.bind(
        bind, reaching: to, configuration: configuration, store: ratchets.store, logger: log?.logger)
      let identity = Array(options.identity.utf8)
      let duration = options.duration
      let target = to
      let once = once
      let limit = Duration.seconds(min(timeout, duration ?? timeout))
      let readsInput = options.sendsStandardInput

      let result: Void? = try await Interruption.cancelling(after: nil) {
        try await MetricsOption.serving(endpoint, on: metricsAddress, to: reporter) {
          let warning = Task { await DowngradeWarning.report(of: endpoint, to: reporter) }
          defer { warning.cancel() }
          let start = ContinuousClock().now
          do throws(UDPError) {
            if once {
              let session = try await endpoint.connect(to: target, key: peerKey, identity: identity, timeout: limit)
              let conversation = Conversation(
                session: session, number: 1, options: conversationOptions, reporter: reporter)
              conversation.reportUp(as: "up", after: ContinuousClock().now - start)
              try await Self.converse(conversation, readsInput: readsInput, duration: duration)
            } else {
              var reconnecting = ReconnectOptions()
              reconnecting.attemptTimeout = limit
              let session = try endpoint.reconnectingSession(
                to: target, key: peerKey, identity: identity, options: reconnecting)
              let kept = KeptConversation(session, options: conversationOptions, reporter: reporter, since: start)
              try await kept.run(readsInput: readsInput, duration: duration)
            }
          } catch {
            var report = Report(error.isRejection ? "rejected" : "error")
            report.peer = peerKey.text
            report.reason = "\(error)"
            if !Task.isCancelled { reporter.report(report, text: "no session with \(peerKey.text)") }
            await trace?.flush()
            throw error.commandFailure
          }
        }
      }
      await endpoint.close()
      await trace?.flush()
      if result == nil { Terminal.note("interrupted") }
    }
  }

  /// Exchanges messages until all are sent and none is expected, the time is over, or the session
  /// ends.
  ///
  /// - Throws: ``UDPError``.
  private static func converse(
    _ conversation: Conversation, readsInput: Bool, duration: Double?
  ) async throws(UDPError) {
    let session = conversation.session
    try await Talk(readsInput: readsInput, duration: duration, options: conversation.options).run(
      receiving: [{ await conversation.receive() }, { await conversation.watch() }]
    ) { try await session.send($0) }
    // This side has not closed the session, so it ended by itself.
    if let reason = session.endReason { throw .sessionEnded(reason) }
  }
}

/// The sending part of a run of `connect`, and how long it lasts.
struct Talk: Sendable {
  let readsInput: Bool
  let duration: Double?
  let options: Conversation.Options

  /// Runs until one of `receiving` ends, everything is sent and nothing more is expected, or the
  /// time is over.
  ///
  /// - Throws: ``UDPError``.
  func run(
    receiving: [@Sendable () async throws -> Void], sending send: @escaping @Sendable ([UInt8]) async throws -> Void
  ) async throws(UDPError) {
    do {
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for receive in receiving {
          group.addTask {
            try await receive()
            return true
          }
        }
        group.addTask {
          try await options.sendMade(send)
          if readsInput {
            for await line in StandardInput.lines { try await send(Array(line.utf8)) }
          }
          // With --echo alone, or with a duration, more may follow.
          return duration == nil && !(options.echo && options.send == nil)
        }
        if let duration {
          group.addTask {
            try await Task.sleep(for: .seconds(duration))
            return true
          }
        }
        while let isDone = try await group.next(), !isDone {}
        group.cancelAll()
      }
    } catch let error as UDPError {
      throw error
    } catch {
      // Pauses throw only CancellationError.
      throw .cancelled
    }
  }
}
