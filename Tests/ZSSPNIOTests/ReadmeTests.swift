// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

@Suite("README", .timeLimit(.minutes(5)))
struct ReadmeTests {
  @Test func theLibraryExampleWorks() async throws {
    #expect(try await greet() == "hello")
  }

  @Test func theLibraryExampleIsTheOneBelow() throws {
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let example = try #require(
      source.split(separator: "// README begin\n").last?.split(separator: "// README end").first)
    let readme = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../README.md")
    let text = try String(contentsOf: readme.standardizedFileURL, encoding: .utf8)
    #expect(text.contains("```swift\nimport ZSSPNIO\nimport ZSSPSwiftCrypto\n\n\(example)```"))
  }
}

// README begin
func greet() async throws -> String? {
  func endpoint() async throws -> UDPEndpoint {
    try await .bind(
      host: "127.0.0.1", port: 0, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
  }
  let (alice, bob) = (try await endpoint(), try await endpoint())
  async let accepted = bob.incoming.first { $0.peer == alice.publicKey }?.accept()
  let session = try await alice.connect(to: bob.localAddress, key: bob.publicKey)
  try await session.send(Array("hello".utf8))
  let message = try await accepted?.messages.first { _ in true }
  return message.map { String(decoding: $0, as: UTF8.self) }
}
// README end
