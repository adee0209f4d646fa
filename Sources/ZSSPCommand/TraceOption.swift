// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPNIO

/// The option that writes a trace of an endpoint.
struct TraceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write a trace of handshakes and control packets to this file, as JSON lines. Default: none.", valueName: "file"))
  var trace: String?

  /// Creates the file, and makes an endpoint of this configuration write to it.
  ///
  /// - Parameters:
  ///   - configuration: The configuration of the endpoint.
  ///   - title: The command.
  /// - Returns: The file; nil without the option.
  /// - Throws: ``CommandFailure/usage(_:)``.
  @discardableResult
  func apply(to configuration: inout EndpointConfiguration, title: String) throws(CommandFailure) -> TraceFile? {
    guard let trace else { return nil }
    let file = try Self.file(trace, title: title, source: "endpoint")
    configuration.trace = file
    return file
  }

  /// Creates a trace file.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func file(
    _ path: String, title: String, source: String, lanes: [String] = []
  ) throws(CommandFailure) -> TraceFile {
    do {
      return try TraceFile(
        path: path, title: title, source: source, lanes: lanes, isSynchronous: source == "simulation"
      ) { Terminal.error("--trace \($0)") }
    } catch {
      throw .usage("--trace \(error)")
    }
  }
}
