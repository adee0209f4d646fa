// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPCapture

struct Decode: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the datagrams of ZSSP in a capture, and what prevents sessions.",
    discussion: """
      Reads pcap and pcapng, as tcpdump and dumpcap write them, and prints one line per datagram: time (UTC), \
      addresses, and what it is. Troubles with their likely reasons follow at the end, behind exclamation marks. \
      Without keys the headers and the content of most packets are not readable; Documentation/captures.md describes \
      key logs.
      Exit codes: 0 the capture was read to its end, 1 it is damaged or ends too early (what came before is shown), \
      2 usage.
      """)

  @Argument(help: ArgumentHelp("Read this capture. A hyphen reads standard input.", valueName: "file"))
  var file: String

  @Flag(
    name: [.customShort("v"), .long],
    help: "Print all fields, each with its section of the specification. Default: off.")
  var verbose = false

  @Flag(help: "Print one JSON object per datagram and trouble, and one summary. Default: off.")
  var json = false

  @Option(
    help: ArgumentHelp(
      """
      Take all datagrams from and to this UDP port for those of ZSSP. May be repeated. Default: 20763. Flows of other \
      ports are recognized by their first Hello.
      """, valueName: "port"))
  var port: [UInt16] = []

  @Option(help: ArgumentHelp("Read keys from this key log. May be repeated. Default: none.", valueName: "file"))
  var keys: [String] = []

  @Option(
    name: [.customShort("w"), .customLong("write")],
    help: ArgumentHelp(
      "Write the IP packets inside a tunnel to this file, as pcapng. Needs --keys. Default: none.", valueName: "file"))
  var write: String?

  @OptionGroup var crypto: CryptoOption

  func validate() throws {
    if write != nil, keys.isEmpty { throw ValidationError("--write: needs --keys, because tunnels are encrypted") }
    if port.contains(0) { throw ValidationError("--port 0: must be 1 to 65535") }
  }

  func run() throws {
    let source = try CaptureFile(reading: file)
    let ring = try keyRing()
    let inside = try write.map { try CaptureFile(writing: $0, inputs: [file] + keys) }
    var options = DecoderOptions()
    options.collectsFields = verbose || json
    if !port.isEmpty { options.ports = Set(port) }
    let standardOutput = CaptureFile(writingTo: STDOUT_FILENO, name: "standard output")
    let output: any DecoderOutput = json ? JSONOutput(standardOutput) : TextOutput(standardOutput, verbose: verbose)
    let innerPackets = inside.map { InnerPackets($0, then: output) }
    var decoder = Decoder(options, keys: ring, output: innerPackets ?? output)
    var damage: CaptureError?
    do { try decoder.run(source) } catch { damage = error }
    do {
      if case .unwritable = damage {} else { try output.summarize(decoder) }
      try innerPackets?.flush()
    } catch {
      damage = damage ?? error
    }
    if let innerPackets, let write {
      Terminal.note("\(write): \(innerPackets.count) inner packets")
    }
    switch damage {
    case nil: break
    // The reader of standard output has closed it, as head does.
    case .unwritable where standardOutput.isClosed: Terminal.exit(1)
    case .unreadable(let reason), .unwritable(let reason): throw CommandFailure.failed(reason)
    case .unknownFormat: throw CommandFailure.usage("\(file): \(CaptureError.unknownFormat)")
    case .truncated, .badLength, .badBlock:
      throw CommandFailure.failed("\(file): \(damage.map { "\($0)" } ?? ""); the datagrams before it are shown")
    }
  }

  private func keyRing() throws(CommandFailure) -> KeyRing? {
    guard !keys.isEmpty else { return nil }
    let ring = KeyRing(provider: try crypto.provider())
    for path in keys {
      let text = try SecretFile.read(path, kind: .keyLog)
      var number = 0
      for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        number += 1
        do { try ring.add(line: line) } catch { throw .usage("\(path), line \(number): \(error)") }
      }
    }
    if ring.lineCount == 0 { Terminal.error("WARNING: the key log has no keys") }
    return ring
  }
}
