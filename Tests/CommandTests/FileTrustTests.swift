// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPFiles
import ZSSPTestSupport

/// The owners whose files are trusted, and how files are read.
@Suite("Files with secrets", .tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
struct FileTrustTests {
  /// A rule needs no root to be tried.
  @Test(
    arguments: [
      // Process, owner, mode, refused for, warned of.
      (1000, 1000, 0o600, nil, false), (1000, 1000, 0o400, nil, false), (1000, 0, 0o600, nil, false),
      (1000, 1000, 0o644, nil, true), (1000, 1000, 0o640, nil, true), (1000, 1000, 0o604, nil, true),
      // A group that root lets read, as with the secrets of a container.
      (1000, 0, 0o640, nil, false), (1000, 0, 0o644, nil, true), (0, 0, 0o640, nil, true),
      (1000, 1000, 0o620, "chmod 600 p", false), (1000, 1000, 0o602, "chmod 600 p", false),
      (1000, 0, 0o664, "chmod 600 p", false), (0, 0, 0o666, "chmod 600 p", false),
      (1000, 1001, 0o600, "chown 1000 p", false), (0, 1000, 0o600, "chown 0 p", false),
      // Whom the process becomes, by its options.
      (0, 77, 0o600, nil, false), (0, 77, 0o660, "chmod 600 p", false), (1000, 77, 0o600, nil, false),
    ] as [(UInt32, UInt32, UInt32, String?, Bool)])
  func theRule(user: UInt32, owner: UInt32, mode: UInt32, mentions: String?, isWarned: Bool) {
    let trust = FileTrust(user: user, other: 77)
    let refusal = trust.refusal(of: "p", owner: owner, mode: mode)
    #expect(refusal?.kind == (mentions == nil ? nil : .untrusted))
    if let mentions { #expect(refusal?.description.contains("'\(mentions)'") == true, "\(refusal?.description ?? "")") }
    if mentions == nil { #expect((trust.warning(of: "p", owner: owner, mode: mode) != nil) == isWarned) }
    #expect(FileTrust(user: user).refusal(of: "p", owner: 77, mode: 0o600) != nil)
  }

  @Test(arguments: [
    ("s", ".", "s"), ("/s", "/", "s"), ("//s", "/", "s"), ("///a//s", "///a", "s"), ("a/b", "a", "b"),
    ("a//b", "a", "b"), ("./..s", ".", "..s"), ("../s", "..", "s"), ("a/\u{301}", "a", "\u{301}"),
  ])
  func aPathIsCut(path: String, folder: String, name: String) throws {
    let parts = try PathParts(path)
    #expect(parts.folder == folder && parts.name == name)
  }

  @Test(arguments: ["", "/", "//", ".", "..", "a/", "a//", "a/.", "a/..", "a\0b", "\0"])
  func aPathOfNoFileIsRefused(path: String) {
    #expect(throws: FileFailure.self) { try PathParts(path) }
    #expect(throws: FileFailure.self) { try PrivateFile.read(path, limit: 1) }
    #expect(throws: FileFailure.self) { try PrivateFile.write("", to: path, replaces: true) }
    #expect(throws: FileFailure.self) { try PathParts.resolve(path) }
  }

  /// A key, a password, a store, an exported store and a key for a store.
  private struct Files {
    let tool: Tool
    let peers: Peers

    init() throws {
      peers = try Peers()
      tool = peers.tool
      #expect(try tool.run("store", "key", tool.path("storekey")).exitCode == 0)
      let store = "file:\(tool.path("store"))"
      #expect(
        try tool.run("store", "import-otp", store, "--peer", peers.bob, "--otp-file", tool.path("otp")).exitCode == 0)
      #expect(try tool.run("store", "export", store, tool.path("exported")).exitCode == 0)
    }

    /// The commands that read each of the files and end.
    var readers: [(file: String, arguments: [String])] {
      var readers = [
        ("alice.pem", ["pubkey", tool.path("alice.pem")]),
        (
          "otp",
          [
            "store", "import-otp", "file:\(tool.path("o"))", "--force", "--peer", peers.bob, "--otp-file",
            tool.path("otp"),
          ]
        ),
        ("store", ["store", "list", "file:\(tool.path("store"))"]),
        ("exported", ["store", "import", "file:\(tool.path("i"))", "--force", tool.path("exported")]),
      ]
      #if SQLite
        readers.append(
          (
            "storekey",
            [
              "store", "import-otp", "sqlite:\(tool.path("s"))", "--force", "--peer", peers.bob, "--otp-file",
              tool.path("otp"), "--store-key-file", tool.path("storekey"),
            ]
          ))
      #endif
      return readers
    }
  }

  @Test func whatOthersCanWriteIsRefusedAndWhatTheyCanReadIsWarnedOf() throws {
    let files = try Files()
    for (name, arguments) in files.readers {
      let path = files.tool.path(name)
      for mode: mode_t in [0o600, 0o400, 0o640, 0o644, 0o604] {
        #expect(chmod(path, mode) == 0)
        let result = try files.tool.start(arguments).finish()
        #expect(result.exitCode == 0, "\(name): \(result.errors)")
        let warnings = result.errors.split(separator: "\n").filter { $0.contains("WARNING: \(path)") }
        #expect(warnings.count == (mode & 0o077 == 0 ? 0 : 1), "\(name) \(String(mode, radix: 8)): \(result.errors)")
        #expect(warnings.allSatisfy { $0.contains("'chmod 600 \(path)'") })
      }
      for mode: mode_t in [0o620, 0o602, 0o666] {
        #expect(chmod(path, mode) == 0)
        let result = try files.tool.start(arguments).finish()
        #expect(result.exitCode == 2 && result.errors.contains("'chmod 600 \(path)'"), "\(name): \(result.errors)")
      }
      #expect(chmod(path, 0o600) == 0)
    }
  }

  @Test func whatOthersCanReplaceIsRefused() throws {
    let files = try Files()
    let folder = files.tool.folder.path
    for (name, arguments) in files.readers {
      for (mode, isRefused) in [(0o777, true), (0o770, true), (0o1777, false), (0o700, false)] as [(mode_t, Bool)] {
        #expect(chmod(folder, mode) == 0)
        let result = try files.tool.start(arguments).finish()
        #expect(result.exitCode == (isRefused ? 2 : 0), "\(name): \(result.errors)")
        #expect(result.errors.contains("'chmod go-w \(folder)'") == isRefused, "\(name): \(result.errors)")
      }
    }
  }

  @Test(.tags(.root), .enabled(if: geteuid() == 0, "only root can give files away"))
  func whatAnotherUserOwnsIsRefused() throws {
    let files = try Files()
    for (name, arguments) in files.readers {
      let path = files.tool.path(name)
      #expect(chown(path, 4242, 4242) == 0)
      let result = try files.tool.start(arguments).finish()
      #expect(result.exitCode == 2, "\(name): \(result.errors)")
      #expect(result.errors.contains("\(path): belongs to user 4242"), "\(name): \(result.errors)")
      #expect(result.errors.contains("'chown 0 \(path)'"), "\(name): \(result.errors)")
      #expect(chown(path, 0, 0) == 0)
    }
  }

  /// The user who starts the command made the pipe.
  @Test(arguments: [
    #"cat key.pem | "$0" pubkey /dev/stdin"#, #"cat key.pem | "$0" pubkey /dev/fd/0"#,
    #""$0" pubkey /dev/stdin < key.pem"#,
    "mkfifo -m 600 pipe; cat key.pem > pipe & exec \"$0\" pubkey pipe",
  ])
  func keysComeThroughPipesToo(script: String) throws {
    let tool = try Tool()
    let made = try tool.run("keygen", tool.path("key.pem"))
    let read = try tool.shell(script, in: tool.folder.path)
    #expect(read.exitCode == 0 && read.output == made.output && read.errors.isEmpty, "\(read.errors)")
  }

  /// The owner is asked on the pipe that is open: root gets one of any user's from `sudo`.
  @Test(.tags(.root), .enabled(if: geteuid() == 0, "only root can give files away"))
  func aPipeOfAnotherUserIsReadAndANamedOneIsNot() throws {
    let tool = try Tool()
    let made = try tool.run("keygen", tool.path("key.pem"))
    let named = try tool.shell(
      "mkfifo -m 600 pipe && chown 4242 pipe; (cat key.pem > pipe) 2> errors & exec \"$0\" pubkey pipe",
      in: tool.folder.path)
    #expect(named.exitCode == 2 && named.errors.contains("belongs to user 4242"), "\(named.errors)")
    let open = try tool.shell(
      "mkfifo -m 622 pipe2; (cat key.pem > pipe2) 2> errors & exec \"$0\" pubkey pipe2", in: tool.folder.path)
    #expect(open.exitCode == 2 && open.errors.contains("others can write to it"), "\(open.errors)")
    // A pipe without a name belongs to whoever started the process that made it.
    var ends: [CInt] = [0, 0]
    #expect(pipe(&ends) == 0)
    #expect(fchown(ends[0], 4242, 4242) == 0)
    let text = try Data(contentsOf: URL(filePath: tool.path("key.pem")))
    let writer = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
    try writer.write(contentsOf: text)
    try writer.close()
    let reader = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
    let piped = try tool.start(["pubkey", "/dev/stdin"], input: reader).finish()
    #expect(piped.exitCode == 0 && piped.output == made.output, "\(piped.errors)")
  }

  /// The command reads an endless file only up to the limit of such files.
  @Test func readingIsBounded() throws {
    let tool = try Tool()
    let large = tool.path("large")
    try Data().write(to: URL(filePath: large))
    #expect(chmod(large, 0o600) == 0 && truncate(large, 10 << 30) == 0)
    for path in [large, "/dev/zero"] {
      for arguments in [["pubkey", path], ["store", "import", "file:\(tool.path("s"))", path]] {
        let result = try tool.start(arguments).finish()
        #expect(result.exitCode == 2 && result.errors.contains("\(path): is larger than"), "\(result.errors)")
      }
    }
    try Data(repeating: 7, count: 100).write(to: URL(filePath: tool.path("some")))
    #expect(try PrivateFile.read(tool.path("some"), limit: 100).bytes.count == 100)
    #expect(throws: FileFailure.self) { try PrivateFile.read(tool.path("some"), limit: 99) }
  }

  /// A command that writes several files writes all of them, or none.
  @Test func nothingIsHalfWritten() throws {
    let tool = try Tool()
    try Data("old".utf8).write(to: URL(filePath: tool.path("b")))
    let files = ["a", "b", "c"].map { (text: "new", path: tool.path($0)) }
    let failure = try #require(throws: FileFailure.self) { try PrivateFile.write(files, replaces: false) }
    #expect(failure.kind == .exists && failure.path == tool.path("b"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path) == ["b"])
    var full = FileOperations()
    full.write = { _, _ in
      errno = ENOSPC
      return -1
    }
    var unsynced = FileOperations()
    unsynced.sync = { _ in
      errno = EIO
      return -1
    }
    for system in [full, unsynced] {
      #expect(throws: FileFailure.self) { try PrivateFile.write(files, replaces: true, system: system) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path) == ["b"])
      #expect(try String(contentsOfFile: tool.path("b"), encoding: .utf8) == "old")
    }
    // The third has the name that the first was just given.
    let twice = ["x", "y", "x"].map { (text: "new", path: tool.path($0)) }
    #expect(throws: FileFailure.self) { try PrivateFile.write(twice, replaces: false) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path) == ["b"])
    try PrivateFile.write(files, replaces: true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: tool.folder.path).sorted() == ["a", "b", "c"])
  }
}
