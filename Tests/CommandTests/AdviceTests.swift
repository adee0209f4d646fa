// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPNIO
import ZSSPTestSupport

@testable import ZSSPCommand

/// Messages say what can be done.
@Suite(.tags(.fast))
struct AdviceTests {
  /// Only a file that holds secrets asks to replace them.
  @Test func whatOthersCouldReadIsReplaced() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "message-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data("x".utf8).write(to: URL(filePath: path))
    #expect(chmod(path, 0o644) == 0)
    for kind in [SecretFile.Kind.key, .ratchets, .keyLog, .wireGuard, .configuration] {
      let warning = try #require(try SecretFile.contents(path, kind: kind).warning)
      #expect(warning.hasPrefix("\(path): others can read it (mode 644); 'chmod 600 \(path)'"))
      #expect(warning.hasSuffix("replace the secrets in it") == (kind != .configuration), "\(warning)")
    }
    #expect(chmod(path, 0o600) == 0)
    #expect(try SecretFile.contents(path, kind: .key).warning == nil)
  }

  @Test func aStoreInUseHasTheAdviceOfTheCommand() {
    let failure = CommandFailure.unavailable("--store s: \(StoreLocation.inUse)")
    let advised = StoreLocation.advise(failure, inUse: "wait")
    #expect("\(advised)" == "--store s: in use by another process; wait" && advised.exitCode == 2)
    let other = StoreLocation.advise(.usage("--store s: no such store"), inUse: "wait")
    #expect("\(other)" == "--store s: no such store")
  }

  @Test(arguments: [
    (1, 0, "1 challenge came, and was not answered"), (1, 1, "1 challenge came, and was answered"),
    (2, 0, "2 challenges came, none of them were answered"), (2, 1, "2 challenges came, 1 of them was answered"),
    (7, 6, "7 challenges came, 6 of them were answered"),
  ])
  func challenges(came: Int, solved: Int, sentence: String) {
    var seen = ProbeObservation()
    seen.challenges = came
    seen.solved = solved
    #expect(PingReporter.challenges(seen) == sentence)
  }

  @Test func theVersionNamesTheTraits() throws {
    let report = VersionReport(number: "1", archived: "$")
    let line = try #require(report.lines.first { $0.hasPrefix("traits: ") })
    #expect(line == "traits: \(report.traits.joined(separator: ", "))")
    #if KeyLog
      #expect(report.traits.contains("KeyLog"))
    #else
      #expect(!report.traits.contains("KeyLog"))
    #endif
  }

  #if Tunnel && os(Linux)
    @Test func ofSeveralTunnelsOneIsNamed() throws {
      #expect(try TunnelName.only(of: ["a"], option: nil) == "a")
      let byOption = #expect(throws: CommandFailure.self) {
        try TunnelName.only(of: ["a", "b"], option: "--interface")
      }
      #expect(byOption?.description.contains("'--interface NAME': a, b") == true)
      let byArgument = #expect(throws: CommandFailure.self) { try TunnelName.only(of: ["a", "b"], option: nil) }
      #expect(byArgument?.description.contains("to the command: a, b") == true)
      #expect(throws: CommandFailure.self) { try TunnelName.only(of: [], option: nil) }
    }
  #endif
}
