// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@Suite("zssp keygen, pubkey, version", .tags(.slow), .ownThreads)
struct KeyCommandTests {
  @Test func keygenMakesAPrivateFileAndPubkeyReadsIt() throws {
    let tool = try Tool()
    let made = try tool.run("keygen", tool.path("key.pem"))
    #expect(made.exitCode == 0)
    let mode = try FileManager.default.attributesOfItem(atPath: tool.path("key.pem"))[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path) == ["key.pem"])

    let base64 = try tool.run("pubkey", tool.path("key.pem"))
    #expect(base64.exitCode == 0 && base64.output == made.output)
    #expect(Data(base64Encoded: base64.output.trimmingCharacters(in: .newlines))?.count == 49)
    let hex = try tool.run("pubkey", "--hex", tool.path("key.pem"))
    #expect(hex.output.count == 99)
  }

  @Test func keygenReplacesOnlyWhenForced() throws {
    let tool = try Tool()
    let first = try tool.run("keygen", tool.path("key.pem"))
    let refused = try tool.run("keygen", tool.path("key.pem"))
    #expect(refused.exitCode == 2 && refused.errors.contains("key.pem exists already; --force replaces it"))
    #expect(try tool.run("pubkey", tool.path("key.pem")).output == first.output)
    let forced = try tool.run("keygen", "--force", tool.path("key.pem"))
    #expect(forced.exitCode == 0 && forced.output != first.output)
    #expect(try tool.run("pubkey", tool.path("key.pem")).output == forced.output)
  }

  @Test func keygenSaysWhereItCannotWrite() throws {
    let tool = try Tool()
    let result = try tool.run("keygen", tool.path("no/such/folder/key.pem"))
    #expect(result.exitCode == 2)
    #expect(result.errors.contains("no/such/folder/key.pem: No such file or directory"))
    // A folder is no file, even with --force; and nothing is left behind.
    try FileManager.default.createDirectory(atPath: tool.path("taken"), withIntermediateDirectories: false)
    let folder = try tool.run("keygen", "--force", tool.path("taken"))
    #expect(folder.exitCode == 2 && folder.errors.contains("taken"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path) == ["taken"])
  }

  @Test(arguments: [
    ("no PEM at all", "no PEM"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PUBLIC KEY"),
    ("-----BEGIN PRIVATE KEY-----\nnot base64!\n-----END PRIVATE KEY-----\n", "base64"),
    ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "P-384"),
  ])
  func badPEMIsNamed(text: String, mentions: String) throws {
    let tool = try Tool()
    try Data(text.utf8).write(to: tool.folder.appending(path: "bad.pem"))
    let result = try tool.run("pubkey", tool.path("bad.pem"))
    #expect(result.exitCode == 2)
    #expect(result.errors.contains("bad.pem: ") && result.errors.contains(mentions), "\(result.errors)")
  }

  @Test func missingFileIsNamed() throws {
    let tool = try Tool()
    let result = try tool.run("pubkey", tool.path("absent.pem"))
    #expect(result.exitCode == 2 && result.errors.contains("absent.pem: no such file"))
  }

  @Test func versionSaysWhatItIs() throws {
    let result = try Tool().run("version")
    #expect(result.exitCode == 0 && result.output.contains("zssp 0.") && result.output.contains("crypto: "))
    #expect(result.output.contains("providers: swift-crypto ("))
    // A provider that this machine cannot run has a line of its own.
    for line in result.output.split(separator: "\n") where line.contains("no crypto provider") {
      #expect(line.hasPrefix("no crypto provider"))
    }
  }

  @Test func versionAsJSON() throws {
    struct Report: Decodable {
      struct Provider: Decodable {
        let name: String
        let library: String?
        let selfTest: String?
      }
      let version: String
      let providers: [Provider]
      let profiles: [String]
      let traits: [String]
      let architecture: String
    }
    let result = try Tool().run("version", "--json", "--self-test")
    #expect(result.exitCode == 0 && result.output.split(separator: "\n").count == 1)
    let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
    #expect(report.version.hasPrefix("0.") && report.profiles.contains("mlkem1024") && !report.architecture.isEmpty)
    #expect(report.traits.contains("SwiftCrypto"))
    let provider = try #require(report.providers.first { $0.name == "swift-crypto" })
    #expect(provider.library == "swift-crypto" && provider.selfTest == "passed")
  }
}
