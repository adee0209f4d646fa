// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  public import ZSSP

  /// Packet keys and header keys on Intel's multi-buffer library, and another provider for everything else.
  ///
  /// It is there on Linux on x86-64. A packet allocates nothing. The value is free to copy.
  public struct IPsecMBProvider: DerivedProvider {
    /// The other provider.
    public let base: any CryptoProvider
    private let manager: Manager

    /// Packet keys of this library, with `handshakes` for all other primitives.
    ///
    /// Whether the library can be used is found out once in a process.
    ///
    /// - Throws: ``IPsecMBError/processorLacks(_:)`` if the processor has no instructions for AES-GCM, or
    ///   ``IPsecMBError/notInitialized(reason:)``.
    public init(handshakes: any CryptoProvider) throws(IPsecMBError) {
      manager = try Manager.shared.get()
      base = handshakes
    }

    /// "intel-ipsec-mb 1.3.0 with swift-crypto": the version of the library that runs, and the other provider.
    public var name: String {
      let version = imb_get_version_str().map { String(cString: $0) } ?? ""
      return "intel-ipsec-mb \(version) with \(base.name)"
    }

    /// 131,072, which bounds the memory to half a gigabyte, and only while as many sessions are in use: keys lie apart from all else, so that
    /// the memory of those that are given up goes back to the system.
    public var usualExpandedKeys: Int { 131_072 }

    /// AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key, manager) }

    /// AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key, manager) }
  }

  extension CryptoProvider where Self == IPsecMBProvider {
    /// Packet keys of intel-ipsec-mb, with `handshakes` for all other primitives.
    ///
    /// - Throws: ``IPsecMBError`` if the processor or the library cannot do it.
    public static func ipsecMB(handshakes: any CryptoProvider) throws(IPsecMBError) -> IPsecMBProvider {
      try IPsecMBProvider(handshakes: handshakes)
    }
  }
#endif
