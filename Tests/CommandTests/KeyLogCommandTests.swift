// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@Suite("zssp --key-log", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct KeyLogCommandTests {
  #if KeyLog
    @Test func bothSidesAppendTheirKeys() throws {
      let tool = try Tool()
      let listener = try Listener(tool, arguments: "--echo", "--key-log", tool.path("server"))
      let arguments = ["connect", "--to", listener.address, "--peer", listener.key, "--send", "1"]
      for run in 1...2 {
        let result = try tool.start(arguments, environment: ["ZSSP_KEY_LOG": tool.path("client")]).finish()
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.errors.contains("WARNING: writing the keys of all sessions to \(tool.path("client"))"))
        let lines = try String(contentsOfFile: tool.path("client"), encoding: .utf8).split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("ZSSP1 SESSION initiator ") } == run)
      }
      listener.run.interrupt()
      #expect(listener.run.finish().errors.contains("WARNING: writing the keys"))
      let lines = try String(contentsOfFile: tool.path("server"), encoding: .utf8).split(separator: "\n")
      #expect(lines.count { $0.hasPrefix("ZSSP1 SESSION responder ") } == 2)
      for name in ["client", "server"] {
        let attributes = try FileManager.default.attributesOfItem(atPath: tool.path(name))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
      }
      // What they wrote is a key log.
      let capture = tool.path("capture")
      try DecodeCommandTests.capture([]).write(to: URL(filePath: capture))
      let decoded = try tool.run("decode", capture, "--keys", tool.path("client"), "--keys", tool.path("server"))
      #expect(decoded.exitCode == 0 && !decoded.errors.contains("WARNING: the key log"), "\(decoded)")
    }

    @Test func filesThatCannotBeWritten() throws {
      let tool = try Tool()
      let link = tool.path("link")
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: tool.path("target"))
      for path in [tool.folder.path, tool.path("no/such"), link] {
        let result = try tool.run("listen", "--bind", "127.0.0.1:0", "--key-log", path)
        #expect(result.exitCode == 2 && result.errors.contains(path), "\(result)")
      }
    }
    /// A file that is there becomes private.
    @Test func aFileThatIsThere() throws {
      let tool = try Tool()
      let path = tool.path("keys")
      try Data("# mine\n".utf8).write(to: URL(filePath: path))
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
      let result = try tool.run("listen", "--bind", "127.0.0.1:0", "--for", "0.1", "--key-log", path)
      #expect(result.exitCode == 0, "\(result)")
      #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "# mine\n")
    }

    /// A file that others can replace or read gets no keys.
    @Test func placesOfOthers() throws {
      let tool = try Tool()
      let folder = tool.path("shared")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder)
      var places = ["\(folder)/keys"]
      if getuid() == 0 {
        places.append(tool.path("theirs"))
        try Data().write(to: URL(filePath: places[1]))
        try #require(chown(places[1], 65_534, 65_534) == 0)
      }
      for path in places {
        let result = try tool.run("listen", "--bind", "127.0.0.1:0", "--for", "0.1", "--key-log", path)
        #expect(result.exitCode == 2 && result.errors.contains(path), "\(result)")
      }
      #expect(!FileManager.default.fileExists(atPath: places[0]))
    }
  #else
    @Test func aBuildWithoutTheTraitRefuses() throws {
      let tool = try Tool()
      let path = tool.path("keys")
      let option = try tool.run("listen", "--bind", "127.0.0.1:0", "--key-log", path)
      #expect(option.exitCode == 2 && option.errors.contains("--key-log \(path)"), "\(option)")
      #expect(option.errors.contains("without the trait KeyLog"), "\(option)")
      let variable = try tool.start(["listen", "--bind", "127.0.0.1:0"], environment: ["ZSSP_KEY_LOG": path]).finish()
      #expect(variable.exitCode == 2 && variable.errors.contains("ZSSP_KEY_LOG \(path)"), "\(variable)")
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  #endif
}
