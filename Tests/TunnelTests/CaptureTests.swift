// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Captures of a tunnel by tcpdump, as `zssp decode` and tshark read them.
  @Suite(.long, .enabled(if: Lab.isInstalled("tcpdump"), "tcpdump is not installed; see .ci/install-libraries"))
  struct CaptureTests {
    private static let hasWireshark = Lab.isInstalled("tshark") && Lab.isInstalled("python3")
    private static let wireshark: Comment = "tshark or python3 is not installed; see .ci/install-libraries"
    private static let pings = 5

    /// The capture of host a: a handshake, pings that are answered, and a re-key.
    private struct Captured {
      let lab: Lab
      let file: String
      /// The key log of a; it exists in builds with the trait `KeyLog` only.
      let keys: String

      /// The objects that `zssp decode --json` prints.
      func decode(_ arguments: String = "") throws -> [[String: Any]] {
        try lab.run("\(Lab.zssp()) decode --json \(arguments) \(file)").split(separator: "\n")
          .filter { $0.hasPrefix("{") }
          .map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)") }
      }
    }

    /// Captures a tunnel on an interface of host a, from before its start.
    ///
    /// - Parameters:
    ///   - interface: The interface, `any` for all of them.
    ///   - port: The port of both tunnels.
    ///   - mtu: The MTU of both tunnels.
    private static func capture(
      interface: String = "v1", port: Int = 20763, mtu: Int = 1300, size: Int = 1000
    ) async throws -> Captured {
      let lab = try Lab()
      lab.port = port
      try lab.add("a", "b")
      try lab.link("a", "b")
      let captured = Captured(lab: lab, file: lab.path("capture.pcap"), keys: lab.path("keys"))
      // -U writes packets as they come. --immediate-mode is no help: on "any" its buffer has room
      // for eight packets. Without -Z, tcpdump becomes a user that cannot write here.
      let dump = try lab.start("tcpdump -i \(interface) -U -Z root -w \(captured.file) udp or icmp", on: "a")
      try await dump.waits(for: "listening on")
      let extra = "mtu = \(mtu)"
      _ = try await lab.tunnel("b", number: 2, extra: extra, peers: [Lab.Peer("a", number: 1)])
      try lab.write("a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      #if KeyLog
        let first = try await lab.again("a", environment: "ZSSP_KEY_LOG=\(captured.keys)")
        #expect(first.output.contains("WARNING: writing the keys of all sessions to \(captured.keys)"))
      #else
        _ = try await lab.again("a")
      #endif
      try await lab.reaches("a", "10.99.0.2")
      let output = try lab.run("ping -q -c \(pings) -i 0.1 -w 300 -s \(size) -p c0ffee 10.99.0.2", on: "a")
      #expect(output.contains(" \(pings) received"), "\(output)")
      let before = try (lab.ratchetLength("a"), lab.ratchetLength("b"))
      try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("a"))")
      try await lab.waits { try lab.ratchetLength("a") > before.0 && lab.ratchetLength("b") > before.1 }
      // What is sent last is in the file once all before it is.
      let end = "the end \(UUID().uuidString)"
      try lab.run("bash \(lab.script("printf '%s' '\(end)' > /dev/udp/192.168.1.2/9"))", on: "a")
      try await lab.waits { try Data(contentsOf: URL(filePath: captured.file)).range(of: Data(end.utf8)) != nil }
      // Not SIGINT, which a program in the background may ignore.
      dump.send(SIGTERM)
      let ended = dump.finish()
      #expect(ended.exitCode == 0 && ended.output.contains("\n0 packets dropped by kernel"), "\(ended.output)")
      return captured
    }

    /// The handshake is named without keys, and of other packets what they may be. A port that is
    /// not the usual one is recognized by the first Hello, and each datagram is there once.
    @Test(arguments: [("v1", 20763), ("any", 4500)])
    func withoutKeys(interface: String, port: Int) async throws {
      let captured = try await Self.capture(interface: interface, port: port)
      let events = try captured.decode()
      let ours = events.filter { ["hello", "protected"].contains($0["event"] as? String) }
      #expect(ours.count > 2 * Self.pings)
      let addresses = Set(ours.flatMap { [$0["source"] as? String, $0["destination"] as? String] })
      #expect(addresses == ["192.168.1.1:\(port)", "192.168.1.2:\(port)"])
      let guesses = Set(ours.compactMap { $0["guess"] as? String })
      #expect(guesses.isSuperset(of: ["X2 Response?", "C1, C2, D or empty data", "K1, K2 or data"]), "\(guesses)")
      let hello = try #require(ours.last { $0["event"] as? String == "hello" && $0["result"] as? String == "read" })
      let keyID = try #require((hello["fields"] as? [String: Any])?["initiator_key_id"] as? String)
      let response = ours.first { $0["guess"] as? String == "X2 Response?" }
      #expect((response?["fields"] as? [String: Any])?["key_id"] as? String == keyID)
      let troubles = Set(events.compactMap { $0["kind"] as? String })
      // A Hello and X3 are sent again where an answer takes long.
      #expect(troubles.isSubset(of: ["repeated", "unansweredHello"]), "\(troubles)")
      let text = try captured.lab.run("\(Lab.zssp()) decode \(captured.file)")
      for part in [
        "192.168.1.1:\(port) > 192.168.1.2:\(port): X1 Hello 1/2, 891 bytes",
        "X1 Hello 2/2, key id of the initiator \(keyID)",
        "192.168.1.2:\(port) > 192.168.1.1:\(port): key id \(keyID), X2 Response?",
      ] { #expect(text.contains(part), "\(part) is not in \(text)") }
    }

    /// Wireshark's fields, on the usual port and on one that another dissector has.
    @Test(.enabled(if: hasWireshark, wireshark), arguments: [("v1", 20763), ("any", 4500)])
    func inWireshark(interface: String, port: Int) async throws {
      let captured = try await Self.capture(interface: interface, port: port)
      let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      let check = root.appending(path: "Integrations/Wireshark/check").path
      let output = try captured.lab.run("python3 \(check) --tunnel \(captured.file) \(port)")
      #expect(output.contains("all checks passed"), "\(output)")
    }

    #if KeyLog
      /// Every packet is named and opened with keys, also one in several fragments.
      @Test func withKeys() async throws {
        let captured = try await Self.capture(mtu: 4000, size: 3000)
        let lab = captured.lab
        let mode = try FileManager.default.attributesOfItem(atPath: captured.keys)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o600)
        let events = try captured.decode("--keys \(captured.keys)")
        let kinds = Set(events.compactMap { $0["event"] as? String })
        #expect(
          kinds.isSuperset(of: [
            "hello", "response", "completion", "key_confirm", "acknowledge", "rekey_init", "rekey_complete", "data",
          ]), "\(kinds)")
        #expect(!kinds.contains("protected") && !kinds.contains("malformed"))
        let results = Set(events.compactMap { $0["result"] as? String })
        #expect(results.isSubset(of: ["read", "replay"]), "\(results)")
        let text = try lab.run("\(Lab.zssp()) decode --keys \(captured.keys) \(captured.file)")
        for part in [": X1 Hello 2/2, ", ": X2 Response 1/2, ", ": X3 Completion, ", ": C1 KeyConfirm, ", ": C2 Ack, "]
        {
          #expect(text.contains(part), "\(part) is not in \(text)")
        }
        // A message of three fragments, and a re-key
        #expect(text.contains(": P Data 3/3, ") && text.contains(", message of 3028 bytes, "), "\(text)")
        #expect(text.contains(": K1 RekeyInit, ") && text.contains(": K2 RekeyComplete, "), "\(text)")
      }

      /// The pings inside a tunnel, as tshark reads them.
      @Test(.enabled(if: hasWireshark, wireshark)) func insideATunnel() async throws {
        let captured = try await Self.capture(interface: "any")
        let lab = captured.lab
        let inner = lab.path("inner.pcapng")
        let output = try lab.run("\(Lab.zssp()) decode --keys \(captured.keys) -w \(inner) \(captured.file)")
        #expect(output.contains("\(inner): "), "\(output)")
        let mode = try FileManager.default.attributesOfItem(atPath: inner)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o600)
        // Of the pings that waited for the tunnel, and of these, each with its answer.
        let fields = ["ip.src", "ip.dst", "icmp.type", "icmp.checksum.status", "icmp.seq", "ip.len"]
        let lines = try lab.run(
          "tshark -r \(inner) -Y icmp&&ip.len==1028 -T fields \(fields.map { "-e \($0)" }.joined(separator: " "))"
        ).split(separator: "\n").filter { $0.hasPrefix("10.99.") }
        let expected = (1...Self.pings).flatMap {
          ["10.99.0.1\t10.99.0.2\t8\t1\t\($0)\t1028", "10.99.0.2\t10.99.0.1\t0\t1\t\($0)\t1028"]
        }
        #expect(lines.map(String.init) == expected)
        let payloads = try lab.run("tshark -r \(inner) -Y icmp&&ip.len==1028 -T fields -e data.data")
          .split(separator: "\n").filter { $0.contains("c0ffee") }
        #expect(payloads.count == 2 * Self.pings)
      }
    #endif
  }
}
