// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  // [DEC-86]
  /// The numbers of this host's own addresses, so that answers leave from the address to which the
  /// request came. The sockets of a shard share them, on their event loop only; see
  /// ``/ZSSP/Address/localIndex``.
  ///
  /// A number stands for one address as long as datagrams may leave from it. When no number is
  /// free, the unused ones are released: strangers may send to each address of a host that owns a
  /// whole network. If all are in use, further addresses get no number, and the system chooses the
  /// source of answers.
  final class LocalAddresses {
    /// The highest number.
    static let limit = Int(UInt8.max)
    /// The minimum pause after a search for unused numbers, as a multiple of its duration.
    private static let share = 20

    /// Returns which numbers are in use: 256 values.
    var inUse: () -> [Bool] = { [Bool](repeating: true, count: LocalAddresses.limit + 1) }
    /// Changes when numbers were released.
    private(set) var generation = 0

    /// The addresses by their numbers; of family 0 where the number is free.
    private let entries: UnsafeMutablePointer<czssp_local>
    /// The free numbers. The last one is assigned next.
    private var free: [UInt8] = (1...UInt8.max).reversed()
    private var nextSweep = Instant(nanoseconds: .min)
    private let clock: () -> Instant

    /// Starts without addresses.
    init(clock: @escaping () -> Instant = { Instant.loopTime }) {
      self.clock = clock
      entries = .allocate(capacity: Self.limit + 1)
      entries.initialize(repeating: czssp_local(), count: Self.limit + 1)
    }

    deinit { entries.deallocate() }

    /// Returns the number of an address, and assigns one if necessary; 0 for no address, or if no
    /// number is left.
    func index(of local: czssp_local) -> UInt8 {
      guard local.family != 0 else { return 0 }
      if let known = (1...Self.limit).first(where: { entries[$0].isSame(as: local) }) { return UInt8(known) }
      if free.isEmpty { takeBackUnused() }
      guard let index = free.popLast() else { return 0 }
      entries[Int(index)] = local
      return index
    }

    private func takeBackUnused() {
      let start = clock()
      guard start >= nextSweep else { return }
      let isInUse = inUse()
      for index in (1...Self.limit).reversed() where !isInUse[index] {
        entries[index] = czssp_local()
        free.append(UInt8(index))
      }
      generation &+= 1
      let end = clock()
      nextSweep = end.advanced(by: start.duration(to: end) * Self.share)
    }

    /// The address with an assigned number; nil for 0. It is valid while the number is in use.
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

  extension czssp_local {
    init(_ own: OwnAddress) {
      self.init(high: own.high, low: own.low, interface: own.interface, family: own.family)
    }
  }

  extension OwnAddress {
    init(_ local: czssp_local) {
      self.init(high: local.high, low: local.low, interface: local.interface, family: local.family)
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
