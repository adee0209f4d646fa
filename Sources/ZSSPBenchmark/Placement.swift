// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore

  /// The processors of a measurement's threads: one has its own, and all others share another.
  struct Placement {
    enum Processor {
      case own
      case others
    }

    /// True if the machine has at least two processors.
    private let isPossible = System.coreCount > 1

    /// Pins the calling thread to a processor. If the system does not permit that, nothing changes.
    func pin(_ processor: Processor) {
      guard isPossible else { return }
      czssp_pin_thread(processor == .own ? 1 : 0, 1)
    }

    /// Gives the calling thread the lowest priority, permanently.
    func humble() { czssp_nice_thread(19) }

    /// Ends the pinning of the calling thread.
    func unpin() { czssp_pin_thread(0, CInt(System.coreCount)) }
  }
#endif
