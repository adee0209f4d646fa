// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPTunnel
  import Glibc
  import NIOCore
  import ZSSPNIO

  /// Reports that another program may have removed something of the tunnel from the system's
  /// network: an address or a route of its device, a rule, or a route around the tunnel. Used on its
  /// event loop only.
  final class NetworkWatch {
    private let descriptor: CInt
    private var watch: DescriptorWatch?

    /// Starts calling `removed` on the event loop.
    ///
    /// - Parameters:
    ///   - device: The name of the tunnel's device.
    ///   - eventLoop: An event loop of a ``EpollEventLoopGroup``.
    ///   - removed: Called for one or several changes.
    ///   - failed: Called at most once, with the reason, when nothing is reported any more.
    /// - Throws: A ``SystemFailure``, or an error of ``DescriptorWatch``.
    init(
      _ device: String, on eventLoop: any EventLoop, removed: @escaping () -> Void,
      failed: @escaping (SystemFailure) -> Void
    ) throws {
      let descriptor = czssp_network_watch()
      guard descriptor >= 0 else { throw SystemFailure(code: -descriptor) }
      self.descriptor = descriptor
      watch = try DescriptorWatch(descriptor: descriptor, on: eventLoop) { [weak self] in
        let change = czssp_network_changed(descriptor, device)
        if change > 0 { removed() }
        guard change < 0, let self else { return }
        end()
        failed(SystemFailure(code: -change))
      }
    }

    deinit { close(descriptor) }

    /// Stops reporting.
    func end() {
      watch?.end()
      watch = nil
    }
  }
#endif
