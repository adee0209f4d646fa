// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  public import ZSSP

  /// Packet keys and header keys on Intel's multi-buffer library, and another provider for
  /// everything else.
  ///
  /// It is available on Linux on x86-64. A packet causes no allocation. Copies of the value share
  /// one library manager.
  public struct IPsecMBProvider: DerivedProvider {
    /// The provider for all other primitives.
    public let base: any CryptoProvider
    private let manager: Manager

    /// Creates a provider with packet and header keys of this library, and `handshakes` for all
    /// other primitives.
    ///
    /// The library is checked once per process.
    ///
    /// - Throws: ``IPsecMBError/processorLacks(_:)`` if the processor has no instructions for
    ///   AES-GCM, or ``IPsecMBError/notInitialized(reason:)``.
    public init(handshakes: any CryptoProvider) throws(IPsecMBError) {
      manager = try Manager.shared.get()
      base = handshakes
    }

    /// "intel-ipsec-mb 1.3.0 with swift-crypto": the version of the library that runs, and the
    /// other provider.
    public var name: String {
      let version = imb_get_version_str().map { String(cString: $0) } ?? ""
      return "intel-ipsec-mb \(version) with \(base.name)"
    }

    /// The number of sessions whose expanded keys take half a gigabyte. That memory is needed only
    /// while as many sessions are in use: each key has memory of its own, so the memory of evicted
    /// keys returns to the system.
    public var usualExpandedKeys: Int { 131_072 }

    /// Returns AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key, manager: manager) }

    /// Returns AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key, manager: manager) }
  }

  extension CryptoProvider where Self == IPsecMBProvider {
    /// Returns a provider with packet and header keys of intel-ipsec-mb, and `handshakes` for all
    /// other primitives.
    ///
    /// - Throws: ``IPsecMBError`` if the processor or the library does not support it.
    public static func ipsecMB(handshakes: any CryptoProvider) throws(IPsecMBError) -> IPsecMBProvider {
      try IPsecMBProvider(handshakes: handshakes)
    }
  }
#endif
