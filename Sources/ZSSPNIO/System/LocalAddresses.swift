// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOConcurrencyHelpers
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  // [DEC-86]
  /// Numbers for this host's own addresses, so that answers leave from the address that the request
  /// came to. All sockets of an endpoint share them; see ``ZSSP/Address/localIndex``.
  ///
  /// A number belongs to one address permanently. When all numbers are assigned, further addresses
  /// have none, and the system chooses the source of answers to them. Otherwise a host that owns a
  /// whole network could be made to store all its addresses.
  final class LocalAddresses: @unchecked Sendable {
    /// The highest number.
    static let limit = Int(UInt8.max)

    /// The addresses by number. Written under the lock, before the number is published, and never
    /// again.
    private let entries: UnsafeMutablePointer<czssp_local>
    private let count = NIOLockedValueBox(1)

    /// Makes an empty table.
    init() {
      entries = .allocate(capacity: Self.limit + 1)
      entries.initialize(repeating: czssp_local(), count: Self.limit + 1)
    }

    deinit { entries.deallocate() }

    /// Returns the number of an address, and assigns one if necessary; 0 for no address, or if no
    /// number is left.
    func index(of local: czssp_local) -> UInt8 {
      guard local.family != 0 else { return 0 }
      return count.withLockedValue { count in
        if let known = (1..<count).first(where: { entries[$0].isSame(as: local) }) { return UInt8(known) }
        guard count <= Self.limit else { return 0 }
        entries[count] = local
        defer { count += 1 }
        return UInt8(count)
      }
    }

    /// The address with an assigned number; nil for 0. The pointer is valid as long as this object.
    subscript(index: UInt8) -> UnsafePointer<czssp_local>? { index == 0 ? nil : UnsafePointer(entries + Int(index)) }

    /// Returns the number of an address that the subscript has returned.
    func index(of local: UnsafePointer<czssp_local>) -> UInt8 { UInt8(clamping: local - UnsafePointer(entries)) }
  }

  extension czssp_local {
    /// True if the host has the address now.
    var exists: Bool {
      var name = czssp_address(high: high, low: low, scope: interface, port: 0, family: family)
      var bound = czssp_address()
      let descriptor = czssp_udp_open(&name, false, &bound)
      if descriptor >= 0 { czssp_close(descriptor) }
      return descriptor != -EADDRNOTAVAIL
    }

    /// Returns true if both are the same address.
    func isSame(as other: czssp_local) -> Bool {
      low == other.low && high == other.high && interface == other.interface && family == other.family
    }
  }

  /// The numbers of addresses that this host no longer has, as far as the sockets of one shard
  /// know. Used on their event loop only.
  final class GoneAddresses {
    private(set) var isEmpty = true
    private var isGone = [Bool](repeating: false, count: LocalAddresses.limit + 1)

    /// Returns true if an address is gone.
    func contains(_ index: UInt8) -> Bool { !isEmpty && isGone[Int(index)] }

    /// Records that the system has refused to send from an address.
    func insert(_ index: UInt8) {
      isGone[Int(index)] = true
      isEmpty = false
    }

    /// Records that a datagram came to an address.
    func remove(_ index: UInt8) {
      guard contains(index) else { return }
      isGone[Int(index)] = false
      isEmpty = !isGone.contains(true)
    }
  }
#endif
