// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

/// The examples in documentation comments, in articles and in README.md are compiled, in
/// DocumentationExamples.swift and ReadmeExamples.swift.
@Suite(.tags(.fast))
struct DocumentationTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL

  /// Code without white space, imports, and comments of whole lines, so that neither indentation
  /// nor wrapping counts.
  private static func essence(_ code: some StringProtocol) -> String {
    code.split(separator: "\n").filter { line in
      let line = line.trimmingCharacters(in: .whitespaces)
      return !line.hasPrefix("//") && !line.hasPrefix("import ")
    }.joined().filter { !$0.isWhitespace }
  }

  /// The Swift code between fences, without the marks of comments.
  private static func examples(in text: String) -> [String] {
    var examples: [String] = []
    var current: [String]? = nil
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      var line = line.drop { $0 == " " }
      if line.hasPrefix("///") { line = line.dropFirst(3) }
      switch (line.trimmingCharacters(in: .whitespaces), current) {
      case ("```swift", nil): current = []
      case ("```", let code?):
        examples.append(code.joined(separator: "\n"))
        current = nil
      case (_, .some): current?.append(String(line))
      default: break
      }
    }
    return examples
  }

  private static func files(_ folder: String, withExtension pathExtension: String = "swift") throws -> [URL] {
    let folder = root.appending(path: folder)
    let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
    return files.compactMap { $0 as? URL }.filter { $0.pathExtension == pathExtension }
  }

  private static func compiled(_ names: String...) throws -> [String] {
    try names.map { name in
      essence(try String(contentsOf: root.appending(path: "Tests/ZSSPNIOTests/\(name).swift"), encoding: .utf8))
    }
  }

  @Test(arguments: [
    "ZSSP", "ZSSPNIO", "ZSSPSQLite", "ZSSPTesting", "ZSSPMetrics", "SwiftZSSP", "ZSSPSwiftCrypto", "ZSSPSimulator",
    "ZSSPStoreTesting", "ZSSPTunnel",
  ])
  func examplesAreCompiled(module: String) throws {
    let compiled = try Self.compiled("DocumentationExamples")[0]
    var count = 0
    for file in try Self.files("Sources/\(module)") {
      for example in Self.examples(in: try String(contentsOf: file, encoding: .utf8)) {
        count += 1
        #expect(compiled.contains(Self.essence(example)), "\(file.lastPathComponent):\n\(example)")
      }
    }
    if module == "ZSSPNIO" { #expect(count >= 5) }
  }

  /// All of it needs one import.
  @Test func examplesOfTheReadmeAreCompiled() throws {
    let compiled = try Self.compiled("ReadmeExamples")[0]
    let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
    let examples = Self.examples(in: readme).filter { !$0.contains(".package(") }
    #expect(!examples.isEmpty)
    for example in examples { #expect(compiled.contains(Self.essence(example)), "\(example)") }
  }

  /// Articles of the documentation catalogs, and the code of their tutorials.
  @Test func examplesOfArticlesAreCompiled() throws {
    let compiled = try Self.compiled("DocumentationExamples", "ReadmeExamples")
    var count = 0
    for article in try Self.files("Sources", withExtension: "md") {
      for example in Self.examples(in: try String(contentsOf: article, encoding: .utf8)) {
        count += 1
        #expect(
          compiled.contains { $0.contains(Self.essence(example)) }, "\(article.lastPathComponent):\n\(example)")
      }
    }
    #expect(count > 0)
  }
}
