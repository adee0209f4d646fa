// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPTunnel
  import NIOCore
  package import ZSSPNIO

  extension PeerProbe {
    /// Makes the probe take the same way as the datagrams of a tunnel with this configuration, past
    /// its routes if it is running. Its port is another one.
    ///
    /// - Parameter configuration: The tunnel's configuration.
    package mutating func takeWay(of configuration: TunnelConfiguration) {
      let own = configuration.mark
      // Without a mark of its own the tunnel has that of its routing table, if it is running.
      let mark = own ?? Self.markOfRunningTunnel()
      let device = configuration.bindDevice
      configureSocket = { descriptor in
        if let mark, case let error = czssp_socket_mark(descriptor, mark), error != 0 {
          // A tunnel on a prepared device has no privileges, and so no mark.
          guard own == nil else { return -error }
        }
        if let device, case let error = czssp_socket_device(descriptor, device), error != 0 { return -error }
        return 0
      }
    }

    private static func markOfRunningTunnel() -> UInt32? {
      guard let rules = try? SystemCommand.ip(["-4", "rule", "show"], step: "cannot read the system's routing rules")
      else { return nil }
      let words = rules.output.split(whereSeparator: \.isWhitespace)
      let marks = zip(words, words.dropFirst()).filter { $0.0 == "fwmark" }.compactMap { number(in: $0.1) }
      return marks.first { (PolicyRule.firstTable..<PolicyRule.firstTable + PolicyRule.tables).contains($0) }
    }

    private static func number(in text: Substring) -> UInt32? {
      text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
    }
  }
#endif
