// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Lab {
  /// Pings until there is an answer, five minutes at most: the limit is for what never comes.
  func reaches(_ host: String, _ address: String) async throws {
    for _ in 0..<300 where try attempt("ping -c 1 -W 1 \(address)", on: host).exitCode == 0 { return }
    Issue.record("\(host) does not reach \(address)")
  }

  /// Two hosts with a link, and a tunnel on it: a at 192.168.1.1, b at 192.168.1.2. They listen on
  /// port 4500 of all IPv4 addresses, unless `listen` says otherwise.
  static func pair(extra: String = "", linkMTU: Int = 1500, listen: String? = nil) async throws -> Lab {
    let lab = try Lab()
    try lab.add("a", "b")
    try lab.link("a", "b", mtu: linkMTU)
    try lab.write("a", number: 1, extra: extra, peers: [Peer("b", number: 2, at: "192.168.1.2")])
    try lab.write("b", number: 2, extra: extra, peers: [Peer("a", number: 1, at: "192.168.1.1")])
    for host in ["a", "b"] {
      if let listen { try lab.edit(host, replacing: "0.0.0.0:4500", with: listen) }
      _ = try await lab.again(host)
    }
    try await lab.reaches("a", "10.99.0.2")
    return lab
  }

  /// Replaces a text in the configuration of a host.
  func edit(_ host: String, replacing former: String, with next: String) throws {
    let file = path("\(host).toml")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try #require(text.contains(former))
    try text.replacing(former, with: next).write(toFile: file, atomically: true, encoding: .utf8)
  }

  /// Bytes on their way from one host to another over TCP.
  struct Transfer {
    let data: Data
    let received: String
    let sender: Program
    let receiver: Program

    /// Waits for the end, and compares what came.
    func finish() throws {
      let sent = sender.finish()
      #expect(sent.exitCode == 0, "\(sent.output)")
      #expect(receiver.finish().exitCode == 0)
      let arrived = try Data(contentsOf: URL(filePath: received))
      #expect(arrived == data, "\(arrived.count) of \(data.count) bytes arrived, or others")
    }
  }

  /// Begins to send bytes that no two transfers have in common.
  func transfer(from: String, to: String, address: String, bytes: Int, port: Int = 9000) async throws -> Transfer {
    var generator = SystemRandomNumberGenerator()
    let block = (0..<8192).map { _ in generator.next() }.withUnsafeBytes { Data($0) }
    var data = Data()
    while data.count < bytes {
      data.append(contentsOf: withUnsafeBytes(of: data.count) { Array($0) })
      data.append(block)
    }
    let received = path("received-\(port)")
    let family = address.contains(":") ? "-6" : "-4"
    let receiver = try start("sh \(try script("exec nc \(family) -l -p \(port) > \(received)"))", on: to)
    while try !run("ss -Hltn sport = :\(port)", on: to).contains("\(port)") {
      try await Task.sleep(for: .milliseconds(20))
    }
    let file = path("sent-\(port)")
    try data.write(to: URL(filePath: file))
    let sender = try start("sh \(try script("exec nc -N \(address) \(port) < \(file)"))", on: from)
    return Transfer(data: data, received: received, sender: sender, receiver: receiver)
  }

  /// Bytes that flow from one host to another over TCP until they are told to stop.
  struct Stream {
    let stop: String
    let sums: [String]
    let programs: [Program]

    /// Ends the stream, and compares what came with what was sent.
    func finish() throws {
      try Data().write(to: URL(filePath: stop))
      for program in programs { #expect(program.finish().exitCode == 0, "\(program.output)") }
      let texts = try sums.map { try String(contentsOfFile: $0, encoding: .utf8) }
      #expect(texts[0].count == 64 + 4 && texts[0] == texts[1], "\(texts)")
    }
  }

  /// Begins a stream. Its blocks are numbered, so that none can take another's place.
  func stream(from: String, to: String, address: String, port: Int = 9100) async throws -> Stream {
    let stop = path("stop-\(port)")
    let fifo = path("fifo-\(port)")
    let sums = ["sent-sum-\(port)", "received-sum-\(port)"].map(path)
    let receive = "set -o pipefail; nc -4 -l -p \(port) | sha256sum > \(sums[1])"
    let receiver = try start("bash \(script(receive))", on: to)
    while try !run("ss -Hltn sport = :\(port)", on: to).contains("\(port)") {
      try await Task.sleep(for: .milliseconds(20))
    }
    try run("mkfifo \(fifo)")
    let send = """
      set -o pipefail
      sha256sum < \(fifo) > \(sums[0]) &
      number=0
      while [ ! -e \(stop) ]; do
        number=$((number + 1))
        printf '%065536d' $number
      done | tee \(fifo) | nc -N \(address) \(port)
      wait
      """
    let sender = try start("bash \(script(send))", on: from)
    return Stream(stop: stop, sums: sums, programs: [sender, receiver])
  }

  /// Returns the number of bytes of IP that a host has received from its only peer.
  func received(_ host: String) throws -> Int {
    let peer = (try show(host)["peers"] as? [[String: Any]])?.first
    return (peer?["bytesReceived"] as? NSNumber)?.intValue ?? 0
  }

  /// A file with a script in it.
  func script(_ text: String) throws -> String {
    let file = path("script-\(UUID().uuidString)")
    try (text + "\n").write(toFile: file, atomically: true, encoding: .utf8)
    return file
  }

  /// Starts a server of iperf3 on a host.
  func serveTraffic(_ host: String) async throws {
    _ = try start("iperf3 -s", on: host)
    while try !run("ss -Hltn sport = :5201", on: host).contains("5201") { try await Task.sleep(for: .milliseconds(20)) }
  }

  /// Runs iperf3, and answers what it counts at the end.
  func traffic(_ host: String, arguments: String) throws -> [String: Any] {
    let text = try run("iperf3 -J \(arguments)", on: host)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    return try #require(object["end"] as? [String: Any])
  }
}
