// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPFiles

/// A place in a command line, or in a file, where a path is taken.
struct Place: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// The arguments for a path, after what `prepare` left.
  let arguments: @Sendable (String) -> [String]

  init(_ name: String, arguments: @escaping @Sendable (String) -> [String]) {
    testDescription = name
    self.arguments = arguments
  }
}

/// A folder with whatever may be in the way. Commands run in it.
final class Ground {
  let tool: Tool
  let key: String

  init() throws {
    tool = try Tool()
    key = try tool.run("keygen", tool.path("key.pem")).output.trimmingCharacters(in: .newlines)
    #expect(try tool.run("otp", tool.path("otp")).exitCode == 0)
    #expect(
      try tool.run(
        "store", "import-otp", "file:\(tool.path("store"))", "--peer", key, "--otp-file", tool.path("otp")
      ).exitCode == 0)
    try FileManager.default.createDirectory(atPath: tool.path("folder"), withIntermediateDirectories: false)
    for (name, target) in [("dangling", "nothing"), ("circle", "circle")] {
      try FileManager.default.createSymbolicLink(atPath: tool.path(name), withDestinationPath: target)
    }
    #expect(mkfifo(tool.path("fifo"), 0o600) == 0)
    try Data().write(to: URL(filePath: tool.path("empty")))
    #expect(chmod(tool.path("empty"), 0o600) == 0)
  }

  /// Returns the content of the folder, with the bytes of files. A new lock does no harm.
  func everything() throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: tool.folder.path)
    where !name.hasSuffix(".lock") {
      found[name] = PrivateFile.start(of: tool.path(name), count: 1 << 20).map { Data($0) } ?? Data("?".utf8)
    }
    return found
  }

  func run(_ arguments: [String]) throws -> Tool.Result { try tool.run(in: tool.folder.path, arguments) }

  static let long = String(repeating: "n", count: 4096)

  /// Paths that name no readable file.
  static let unreadable = [
    "", ".", "..", "/", "//", "folder", "folder/", "folder/.", "key.pem/", "key.pem/x", "missing", "missing/", "m",
    "m/x",
    "dangling", "circle", "empty", "/dev/null", "/dev/zero", "/proc/self/mem", long, "folder/" + long,
  ]
}

/// Expects exit code 2 and a message that names the path. What a signal ended has another code.
func expectNamed(_ result: Tool.Result, path: String, what: String) {
  #expect(result.exitCode == 2, "\(what) \(path.prefix(40)): \(result.exitCode) \(result.errors.prefix(400))")
  let name = path.isEmpty ? "empty" : path
  #expect(result.errors.contains(name), "\(what) \(path.prefix(40)): \(result.errors.prefix(400))")
}
