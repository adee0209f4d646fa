// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore

  /// Which processors the threads of a measurement run on: one has its own, and all others share another.
  struct Placement {
    enum Processor {
      case own
      case others
    }

    /// Whether there are two processors to choose from.
    private let isPossible = System.coreCount > 1

    /// Puts the calling thread on a processor. A system that does not allow it is measured as it is.
    func pin(_ processor: Processor) {
      guard isPossible else { return }
      czssp_pin_thread(processor == .own ? 1 : 0, 1)
    }

    /// Has the calling thread use only what the others leave, for ever.
    func humble() { czssp_nice_thread(19) }

    /// Lets the calling thread run anywhere again.
    func unpin() { czssp_pin_thread(0, CInt(System.coreCount)) }
  }
#endif
