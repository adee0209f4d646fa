// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The keys of two peers, and a one-time password that both have.
struct Peers {
  let tool: Tool
  let alice, bob: String

  init() throws {
    tool = try Tool()
    alice = try tool.run("keygen", tool.path("alice.pem")).output.trimmingCharacters(in: .newlines)
    bob = try tool.run("keygen", tool.path("bob.pem")).output.trimmingCharacters(in: .newlines)
    #expect(try tool.run("otp", tool.path("otp")).exitCode == 0)
  }

  func listen(_ arguments: String...) throws -> Listener {
    try Listener(tool, arguments: ["--key", tool.path("bob.pem"), "--peer", alice] + arguments)
  }

  func connect(_ listener: Listener, _ arguments: String...) throws -> Run {
    try tool.start(
      ["connect", "--to", listener.address, "--peer", bob, "--key", tool.path("alice.pem"), "--json"] + arguments)
  }
}
