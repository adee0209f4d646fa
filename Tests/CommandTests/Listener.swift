// SPDX-License-Identifier: Apache-2.0
import Testing

/// A listener on a port that the kernel picked.
struct Listener {
  let run: Run
  let key: String
  let address: String

  init(_ tool: Tool, host: String = "127.0.0.1", arguments: String...) throws {
    try self.init(tool, host: host, arguments: arguments)
  }

  init(_ tool: Tool, host: String = "127.0.0.1", arguments: [String]) throws {
    run = try tool.start(["listen", "--bind", "\(host):0", "--json"] + arguments)
    let event = try #require(try run.nextEvent { $0["event"] as? String == "listening" })
    key = try #require(event["key"] as? String)
    address = "\(host):\(try #require(event["port"] as? Int))"
  }
}
