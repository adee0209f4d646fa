// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import Synchronization
import ZSSP
import ZSSPNIO

struct Listen: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Accept sessions and exchange messages.",
    discussion: """
      Lines of standard input are sent as messages to every session unless --send or --echo is given.
      """)

  @Option(
    help: ArgumentHelp(
      "Listen on this address: 127.0.0.1:4000 or [::]:4000. With port 0 the system chooses one.", valueName: "addr:port"
    ))
  var bind: String

  @Option(
    help: ArgumentHelp(
      "Accept only this public key, in base64 or 98 hexadecimal digits. May be repeated. Default: any key.",
      valueName: "key"))
  var peer: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Spread sessions over this many event loops: 1, 2, 4, … 256.", valueName: "n"))
  var shards = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Put this responder's number into this many bits of key ids: 3/8. A load balancer reads it in the first bits of datagrams. Default: none.",
      valueName: "n/bits"))
  var node: NodeNumber?

  @OptionGroup var options: SessionOptions

  func validate() throws {
    guard Shard(0, of: shards).isValid else {
      throw ValidationError("--shards \(shards): must be 1, 2, 4, … \(Shard.largestCount)")
    }
    let room = Settings.largestFixedBits - shards.trailingZeroBitCount
    if let node, node.bits > room {
      throw ValidationError("--node \(node): with \(shards) shards there are \(room) bits for it")
    }
  }

  func run() async throws {
    let log = options.logging.log
    if let log { Terminal.use(log) }
    let local = try AddressReader.read(bind, option: "--bind")
    let peers = try peer.map { try KeyReader.publicKey($0, option: "--peer") }
    let allowed = Set(peers)
    let metricsAddress = try options.metrics.address()
    let staticKey = try options.staticKey()
    let reporter = Reporter(json: options.json)
    let conversationOptions = try Conversation.Options(options)
    let ratchets = try await options.security.makeRatchets(peers: peers)
    try await ratchets.store.whileOpen {
      var configuration = try options.configuration(staticKey, flags: ratchets.flags, node: node)
      let trace = try options.trace.apply(to: &configuration, title: "zssp listen --bind \(bind)")
      let endpoint = try await Tool.bind(
        local, configuration: configuration, store: ratchets.store, shards: shards, logger: log?.logger)
      let readsInput = options.sendsStandardInput
      let duration = options.duration

      _ = try await Interruption.cancelling(after: duration) {
        try await MetricsOption.serving(endpoint, on: metricsAddress, to: reporter) {
          Self.report(endpoint, acceptsAnyone: allowed.isEmpty, to: reporter)
          let warning = Task { await DowngradeWarning.report(of: endpoint, to: reporter) }
          defer { warning.cancel() }
          await Self.serve(
            endpoint, allowed: allowed, options: conversationOptions, reporter: reporter, readsInput: readsInput)
          // If the endpoint is closed, its socket failed, and this throws the reason.
          do { try await endpoint.run() } catch { throw CommandFailure.failed("\(error)") }
        }
      }
      await endpoint.close()
      await trace?.flush()
    }
  }

  private static func report(_ endpoint: UDPEndpoint, acceptsAnyone: Bool, to reporter: Reporter) {
    if acceptsAnyone { Terminal.note("no --peer given: accepting ANYONE") }
    var report = Report("listening")
    report.address = endpoint.localAddress.ipAddress
    report.port = endpoint.localAddress.port
    report.key = endpoint.publicKey.text
    reporter.report(report, text: "listening on \(endpoint.localAddress.text) with key \(endpoint.publicKey.text)")
  }

  private static func serve(
    _ endpoint: UDPEndpoint, allowed: Set<PublicKey>, options: Conversation.Options, reporter: Reporter,
    readsInput: Bool
  ) async {
    let sessions = Sessions()
    await withDiscardingTaskGroup { group in
      if readsInput {
        group.addTask {
          for await line in StandardInput.lines { await sessions.broadcast(Array(line.utf8)) }
        }
      }
      for await incoming in endpoint.incoming {
        guard allowed.isEmpty || allowed.contains(incoming.peer) else {
          incoming.reject()
          var report = Report("rejected")
          report.peer = incoming.peer.text
          report.reason = "not in the list of --peer"
          reporter.report(report, text: "rejected \(incoming.peer.text) from \(incoming.remoteAddress.text)")
          continue
        }
        group.addTask { await converse(incoming, sessions: sessions, options: options, reporter: reporter) }
      }
      group.cancelAll()
    }
  }

  private static func converse(
    _ incoming: IncomingSession, sessions: Sessions, options: Conversation.Options, reporter: Reporter
  ) async {
    let session: Session
    do {
      session = try await incoming.accept()
    } catch {
      var report = Report("error")
      report.peer = incoming.peer.text
      report.reason = "\(error)"
      return reporter.report(report, text: "no session with \(incoming.peer.text): \(error)")
    }
    let number = sessions.add(session)
    let conversation = Conversation(session: session, number: number, options: options, reporter: reporter)
    conversation.reportUp(as: "new")
    await withDiscardingTaskGroup { group in
      group.addTask { await conversation.receive() }
      group.addTask { await conversation.watch() }
      group.addTask {
        do {
          try await conversation.sendMade()
        } catch is CancellationError {
          // The command or the session is ending.
        } catch {
          conversation.reportError("sending failed: \(error)")
        }
      }
    }
    sessions.remove(number)
  }

  /// The sessions that receive lines of standard input.
  private final class Sessions: Sendable {
    private let state = Mutex<(next: Int, sessions: [Int: Session])>((1, [:]))

    func add(_ session: Session) -> Int {
      state.withLock { state in
        defer { state.next += 1 }
        state.sessions[state.next] = session
        return state.next
      }
    }

    func remove(_ number: Int) { state.withLock { _ = $0.sessions.removeValue(forKey: number) } }

    func broadcast(_ message: [UInt8]) async {
      for (number, session) in state.withLock(\.sessions) {
        do { try await session.send(message) } catch { Terminal.error("session \(number): \(error)") }
      }
    }
  }
}
