// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import ZSSP
import ZSSPNIO

struct Connect: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Open a session to a peer and exchange messages.",
    discussion: "Lines of standard input are sent as messages unless --send or --echo is given.")

  @Option(help: ArgumentHelp("Where the peer listens: 192.0.2.1:4000 or [2001:db8::1]:4000.", valueName: "addr:port"))
  var to: String

  @Option(help: ArgumentHelp("The peer's public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
  var peer: String

  @Option(help: ArgumentHelp("The local address, any by default.", valueName: "addr:port"))
  var bind: String?

  @Option(help: ArgumentHelp("Give up if the peer has not answered after this many seconds.", valueName: "seconds"))
  var timeout = 30.0

  @OptionGroup var options: SessionOptions

  func validate() throws {
    guard timeout > 0, timeout <= 1e9 else {
      throw ValidationError("--timeout \(timeout): must be a positive number of seconds")
    }
  }

  func run() async throws {
    let remote = try AddressReader.read(to, option: "--to")
    let local = try bind.map { try AddressReader.read($0, option: "--bind") } ?? AddressReader.any(like: remote)
    let peerKey = try KeyReader.publicKey(peer, option: "--peer")
    let staticKey = try options.staticKey()
    let reporter = Reporter(json: options.json)
    let conversationOptions = try Conversation.Options(options)
    let ratchets = try await options.security.makeRatchets(peers: [peerKey])
    try await ratchets.store.whileOpen {
      let endpoint = try await Tool.bind(
        local, try options.configuration(staticKey, ratchets.flags), store: ratchets.store)
      let (identity, duration, limit) = (Array(options.identity.utf8), options.duration, timeout)
      let readsInput = options.sendsStandardInput

      let result: Void? = try await Interruption.cancelling(after: nil) {
        let warning = Task { await DowngradeWarning.report(endpoint, reporter) }
        defer { warning.cancel() }
        let clock = ContinuousClock()
        let start = clock.now
        let session: Session
        do throws(UDPError) {
          session = try await endpoint.connect(
            to: remote, key: peerKey, identity: identity, timeout: .seconds(min(limit, duration ?? limit)))
        } catch {
          var report = Report(error.isRejection ? "rejected" : "error")
          (report.peer, report.reason) = (peerKey.text, "\(error)")
          if !Task.isCancelled { reporter.report(report, "no session with \(peerKey.text)") }
          throw error.commandFailure
        }
        let conversation = Conversation(
          session: session, number: 1, options: conversationOptions, reporter: reporter)
        conversation.reportUp(as: "up", after: clock.now - start)
        try await Self.converse(conversation, readsInput: readsInput, duration: duration)
      }
      await endpoint.close()
      if result == nil { Terminal.note("interrupted") }
    }
  }

  /// Talks until there is nothing left to say, the time is over, or the session ends.
  private static func converse(_ conversation: Conversation, readsInput: Bool, duration: Double?) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        await conversation.receive()
        return true
      }
      group.addTask {
        await conversation.watch()
        return true
      }
      group.addTask {
        do {
          try await conversation.sendMade()
          if readsInput {
            for await line in StandardInput.lines { try await conversation.session.send(Array(line.utf8)) }
          }
        } catch let error as UDPError {
          throw error.commandFailure
        }
        // With --echo alone, or a time to stay for, there is more to come.
        return duration == nil && !(conversation.options.echo && conversation.options.send == nil)
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
    // This side has not closed it yet.
    if let reason = conversation.session.endReason { throw UDPError.sessionEnded(reason).commandFailure }
  }
}
