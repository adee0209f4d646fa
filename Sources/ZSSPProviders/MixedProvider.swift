// SPDX-License-Identifier: Apache-2.0
#if OpenSSL && SwiftCrypto
  import ZSSP

  /// Packet and header keys of one provider, and everything else from another.
  ///
  /// libcrypto before 3.5 has the faster AES-GCM and the slower P-384.
  struct MixedProvider: DerivedProvider {
    let base: any CryptoProvider
    private let packets: any CryptoProvider

    init(packets: any CryptoProvider, handshakes: any CryptoProvider) {
      self.packets = packets
      base = handshakes
    }

    var name: String { "\(packets.name) with \(base.name)" }
    var usualExpandedKeys: Int { packets.usualExpandedKeys }
    func packetKey(_ key: Secret) -> any PacketKey { packets.packetKey(key) }
    func headerKey(_ key: Secret) -> any HeaderKey { packets.headerKey(key) }

    func selfTest() throws(SelfTestFailure) {
      try packets.selfTest()
      try base.selfTest()
    }
  }
#endif
