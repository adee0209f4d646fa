// SPDX-License-Identifier: Apache-2.0
import ZSSPNIO

/// Reports handshakes that continued without the ratchet, whether or not a session resulted.
enum DowngradeWarning {
  /// Reports downgrades until the endpoint closes or the task is cancelled.
  static func report(of endpoint: UDPEndpoint, to reporter: Reporter) async {
    for await downgrade in endpoint.downgrades {
      var report = Report("downgrade")
      report.peer = downgrade.peer.text
      report.chainLength = downgrade.heldChainLength
      reporter.report(
        report, isWarning: true,
        text: "\(downgrade.peer.text) does not have the ratchet that we hold for it (chain length "
          + "\(downgrade.heldChainLength)). Either it lost its store, or someone has its key.")
    }
  }
}
