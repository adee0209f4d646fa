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
      Exit codes: 0 the capture was read to its end, 1 it is damaged, ends too early, or has frames of a link that is not \
      known (the others are shown), or the output cannot be written, 2 usage, or a file of which nothing can be read.
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
      """
      Write the IP packets inside a tunnel to this file, as pcapng. A hyphen writes them to standard output in place of \
      the lines. Needs --keys. Default: none.
      """, valueName: "file"))
  var write: String?

  @OptionGroup var crypto: CryptoOption

  func validate() throws {
    if write != nil, keys.isEmpty { throw ValidationError("--write: needs --keys, because tunnels are encrypted") }
    if write == "" { throw ValidationError("--write: is empty; - is standard output") }
    if writesToStandardOutput, verbose || json {
      throw ValidationError(
        "--write -: standard output has the packets, so there are no lines for --verbose and --json")
    }
    if port.contains(0) { throw ValidationError("--port 0: must be 1 to 65535") }
  }

  private var writesToStandardOutput: Bool { write == "-" }

  func run() throws {
    let standardOutput = CaptureFile(writingTo: STDOUT_FILENO, name: "standard output")
    guard !writesToStandardOutput || isatty(STDOUT_FILENO) == 0 else {
      throw CommandFailure.usage(
        "--write -: standard output is a terminal, and packets are no text; add '> FILE' or '| COMMAND'")
    }
    let source = try CaptureFile(reading: file)
    let ring = try keyRing()
    var options = DecoderOptions()
    options.collectsFields = verbose || json
    if !port.isEmpty { options.ports = Set(port) }
    let output: any DecoderOutput
    let inside: CaptureFile?
    if writesToStandardOutput {
      output = NoOutput()
      inside = standardOutput
    } else {
      output = json ? JSONOutput(standardOutput) : TextOutput(standardOutput, verbose: verbose)
      inside = try write.map { try CaptureFile(writing: $0, inputs: [file] + keys) }
    }
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
    // The reader of standard output has closed it, as head does.
    if standardOutput.isClosed { Terminal.exit(1) }
    if let innerPackets, let write {
      Terminal.note("\(writesToStandardOutput ? "standard output" : write): \(innerPackets.count) inner packets")
    }
    switch damage {
    case nil: try checkLinks(of: decoder)
    case .unreadable(let reason), .unwritable(let reason): throw CommandFailure.failed(reason)
    case .unknownFormat: throw CommandFailure.usage("\(file): \(CaptureError.unknownFormat)")
    case .truncated, .badLength, .badBlock:
      throw CommandFailure.failed("\(file): \(damage.map { "\($0)" } ?? ""); the datagrams before it are shown")
    }
  }

  /// Fails if a part of the capture, or all of it, has frames that cannot be read.
  private func checkLinks(of decoder: borrowing Decoder) throws(CommandFailure) {
    let counts = decoder.counts
    guard let link = counts.unknownLink else { return }
    let text =
      "\(file): \(counts.unknownLinkFrames) of \(counts.frames) frames are of a link that is not known "
      + "(link type \(link)); capture on an interface with Ethernet or IP, or with 'tcpdump -i any'"
    throw counts.unknownLinkFrames == counts.frames ? .usage(text) : .failed("\(text); the others are shown")
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
    if ring.lineCount == 0 { Terminal.warning("the key log has no keys") }
    return ring
  }
}
