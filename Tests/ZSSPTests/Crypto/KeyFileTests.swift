// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// Keys in files, and lists of peers.
@Suite(.tags(.fast))
struct KeyFileTests {
  /// A folder that is gone at the end of the test.
  private final class Folder {
    let path: String

    init() throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "zssp-keys-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      path = folder.path
    }

    deinit {
      do { try FileManager.default.removeItem(atPath: path) } catch { Issue.record("cannot remove \(path): \(error)") }
    }
  }

  @Test func aKeyIsMadeOnce() throws {
    let folder = try Folder()
    let path = folder.path + "/key.pem"
    #expect(throws: KeyFileError.self) { try StaticKey(contentsOf: path) }
    let made = try StaticKey.loadOrCreate(at: path)
    #expect(try StaticKey.loadOrCreate(at: path).publicKey == made.publicKey)
    #expect(try StaticKey(contentsOf: path).publicKey == made.publicKey)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test func aKeyThatOthersCanReadIsRefused() throws {
    let folder = try Folder()
    let path = folder.path + "/key.pem"
    _ = try StaticKey.loadOrCreate(at: path)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    let error = try #require(throws: KeyFileError.self) { try StaticKey.loadOrCreate(at: path) }
    #expect(error.path == path && error.description.contains("chmod 600"))
  }

  @Test func whatIsNoKeyIsLeftAlone() throws {
    let folder = try Folder()
    let path = folder.path + "/key.pem"
    try Data("nonsense".utf8).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    #expect(throws: KeyFileError.self) { try StaticKey.loadOrCreate(at: path) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "nonsense")
  }

  @Test func allowLists() throws {
    let one = StaticKey().publicKey
    let other = StaticKey().publicKey
    let stranger = StaticKey().publicKey
    let text = "# Sensors\r\n\r\n  \(one.text)   # boiler\n\(other.hexadecimal)#x\n"
    let list = try AllowList(text: text)
    #expect(list.keys == [one, other] && list.contains(one) && !list.contains(stranger))
    #expect(try AllowList(text: "").keys.isEmpty)
    #expect(try AllowList(text: "\u{FEFF}\(one.text)\n").keys == [one])
    let folder = try Folder()
    let path = folder.path + "/allowed"
    try Data(text.utf8).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    #expect(try AllowList(contentsOf: path) == list)
    try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
    #expect(throws: KeyFileError.self) { try AllowList(contentsOf: path) }
  }

  @Test func aWrongLineIsNamed() throws {
    let error = try #require(throws: AllowListError.self) { try AllowList(text: "# x\n\nabc # y\n") }
    #expect(error.line == 3 && error.description.hasPrefix("line 3: "))
  }
}
