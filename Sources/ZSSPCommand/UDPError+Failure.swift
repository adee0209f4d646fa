// SPDX-License-Identifier: Apache-2.0
import ZSSPNIO

extension UDPError {
  /// The command's failure for this error. What other arguments can fix has exit code 2; what the
  /// peer or the network did has exit code 1.
  var commandFailure: CommandFailure {
    switch self {
    case .invalidAddress, .bindFailed, .configuration, .open, .unreachable, .messageTooLarge: .usage("\(self)")
    case .timeout(let cause):
      .failed(
        "\(self); most likely:" + Diagnosis(cause).text
          + "\n  'zssp ping HOST:PORT --peer KEY' finds out more")
    case .sessionEnded, .rejected, .expired, .handshakeFailed, .cancelled, .disconnected, .closed, .transport:
      .failed("\(self)")
    }
  }

  /// Returns the command's failure for this error, which names the option `--bind` if its address
  /// cannot be used.
  ///
  /// - Parameter address: The address of the option; nil without it.
  func commandFailure(binding address: String?) -> CommandFailure {
    if let address, case .bindFailed(_, _, let reason) = self { return .usage("--bind \(address): \(reason)") }
    return commandFailure
  }

  /// True if the peer refused.
  var isRejection: Bool {
    if case .rejected = self { true } else { false }
  }
}
