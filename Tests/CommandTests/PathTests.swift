// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPFiles
import ZSSPTestSupport

/// Every path that a command takes, with what a user may write by mistake.
@Suite("Paths", .tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
struct PathTests {
  private static let readers = [
    Place("pubkey") { ["pubkey", $0] },
    Place("--key") { ["listen", "--bind", "127.0.0.1:0", "--key", $0] },
    Place("--otp-file") { ["store", "import-otp", "file:other", "--peer", "KEY", "--otp-file", $0] },
    Place("--otp-file of a session") { ["listen", "--bind", "127.0.0.1:0", "--peer", "KEY", "--otp-file", $0] },
    Place("--store-key-file") { ["store", "list", "store", "--store-key-file", $0] },
    Place("store import") { ["store", "import", "file:other", $0] },
  ]

  @Test(arguments: readers)
  func whatCannotBeReadIsNamed(place: Place) throws {
    let ground = try Ground()
    let before = try ground.everything()
    for path in Ground.unreadable {
      let arguments = place.arguments(path).map { $0 == "KEY" ? ground.key : $0 }
      expectNamed(try ground.run(arguments), path: path, what: place.testDescription)
    }
    #expect(try ground.everything() == before)
  }

  private static let writers = [
    Place("keygen") { ["keygen", $0] }, Place("otp") { ["otp", $0] }, Place("store key") { ["store", "key", $0] },
    Place("store export") { ["store", "export", "file:store", $0] },
  ]

  /// Devices, folders and pipes are never replaced, and nothing is left of an attempt.
  @Test(arguments: writers, [false, true])
  func whatCannotBeWrittenIsNamed(place: Place, isForced: Bool) throws {
    let ground = try Ground()
    let before = try ground.everything()
    let paths = [
      "", ".", "..", "/", "//", "folder", "folder/", "folder/..", "missing/", "missing/x", "key.pem/", "key.pem/x",
      "fifo",
      "/dev/null", "/proc/none", Ground.long, "folder/" + Ground.long,
    ]
    for path in paths + (isForced ? [] : ["key.pem", "dangling", "circle"]) {
      let result = try ground.run(place.arguments(path) + (isForced ? ["--force"] : []))
      expectNamed(result, path: path, what: place.testDescription)
    }
    #expect(try ground.everything() == before)
    var status = stat()
    #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
  }

  /// Names of one letter ended the program with an illegal instruction after the file was written.
  @Test(arguments: writers)
  func everyNameIsGood(place: Place) throws {
    let ground = try Ground()
    let names = [
      "s", "./t", "folder/u", "folder//v", "/\(ground.tool.path("w"))", "ä", "a b", "-x", "'\"$`\n", "\u{301}", "..x",
      "x.",
      String(repeating: "n", count: 255), "dangling", "circle",
    ]
    for name in names {
      var arguments = place.arguments(name)
      arguments.insert("--", at: arguments.count - 1)
      arguments.insert("--force", at: arguments.count - 2)
      for _ in 0..<2 {
        let result = try ground.run(arguments)
        #expect(result.exitCode == 0, "\(place.testDescription) \(name): \(result.exitCode) \(result.errors)")
      }
      let path = name.hasPrefix("/") ? name : ground.tool.path(name)
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
      #expect((mode as? NSNumber)?.intValue == 0o600, "\(name)")
      if place.testDescription == "keygen" { #expect(try ground.run(["pubkey", "--", name]).exitCode == 0, "\(name)") }
    }
    #expect(try !ground.everything().keys.contains { $0.hasSuffix(".tmp") })
  }

  private static let stores = [
    Place("store list") { ["store", "list", $0] }, Place("store list file:") { ["store", "list", "file:\($0)"] },
    Place("store list sqlite:") { ["store", "list", "sqlite:\($0)"] },
    Place("--store") { ["listen", "--bind", "127.0.0.1:0", "--store", $0] },
    Place("--store file:") { ["listen", "--bind", "127.0.0.1:0", "--store", "file:\($0)"] },
    Place("--store sqlite:") { ["listen", "--bind", "127.0.0.1:0", "--store", "sqlite:\($0)"] },
    Place("import-otp") { ["store", "import-otp", $0, "--peer", "KEY", "--otp-file", "otp"] },
  ]

  /// A store is neither a pipe, which would be waited for, nor a device, beside which no lock is
  /// made.
  @Test(arguments: stores)
  func whatCannotBeAStoreIsNamed(place: Place) throws {
    let ground = try Ground()
    let before = try ground.everything()
    for path in [
      ".", "..", "/", "//", "folder", "folder/", "key.pem/", "key.pem/x", "missing/", "missing/x", "circle", "empty",
      "fifo",
      "key.pem", "/dev/null", "/proc/none/x", Ground.long, "folder/" + Ground.long,
    ] {
      let arguments = place.arguments(path).map { $0 == "KEY" ? ground.key : $0 }
      expectNamed(try ground.run(arguments), path: path, what: place.testDescription)
    }
    #expect(try ground.run(place.arguments("")).exitCode == 2)
    #expect(try ground.everything() == before)
    #expect(access("/dev/null.lock", F_OK) != 0)
  }

  /// Swift would make other names of them, which exist or are made.
  @Test func namesThatAreNotUTF8AreRefused() throws {
    let ground = try Ground()
    let before = try ground.everything()
    for command in [
      "keygen BAD", "keygen BAD --force", "otp BAD", "pubkey BAD", "store key BAD", "store list BAD",
      "store list file:BAD", "store export file:store BAD", "listen --bind 127.0.0.1:0 --key BAD",
      "listen --bind 127.0.0.1:0 --store=sqlite:BAD", "bench store --folder BAD", "tunnel check BAD", "tunnel show BAD",
      "tunnel init a b --folder BAD",
    ] {
      let script = #""$0" "# + command.replacing("BAD", with: #""$(printf 'b\377d')""#)
      let result = try ground.tool.shell(script, in: ground.tool.folder.path)
      #expect(result.exitCode == 2, "\(command): \(result.exitCode) \(result.errors)")
      #expect(result.errors.contains(#"b\xFFd"#) && result.errors.contains("UTF-8"), "\(command): \(result.errors)")
    }
    #expect(try ground.everything() == before)
  }

  @Test(arguments: ["", "missing", "key.pem", "key.pem/", "dangling", "circle", "/dev/null", "/proc", Ground.long])
  func whatIsNoFolderIsNamed(path: String) throws {
    let ground = try Ground()
    let before = try ground.everything()
    expectNamed(
      try ground.run(["bench", "store", "--rounds", "1", "--milliseconds", "1", "--folder", path]), path: path,
      what: "bench")
    #if os(Linux)
      if try ground.run(["tunnel", "--help"]).exitCode == 0 {
        for force in [[], ["--force"]] {
          expectNamed(
            try ground.run(["tunnel", "init", "x", "y", "--folder", path] + force), path: path, what: "tunnel init")
        }
      }
    #endif
    #expect(try ground.everything() == before)
  }
}
