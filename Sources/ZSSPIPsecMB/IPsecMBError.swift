// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  /// Why there is no provider of packet keys on intel-ipsec-mb.
  public enum IPsecMBError: Error, Equatable, CustomStringConvertible {
    /// The processor lacks these instructions. The library would work without, by tables whose use takes a time that
    /// depends on the key, and slowly.
    case processorLacks([String])
    /// The library could not be initialized or failed its own test.
    case notInitialized(reason: String)

    /// What is missing, for people.
    public var description: String {
      switch self {
      case .processorLacks(let instructions):
        "intel-ipsec-mb needs a processor with \(instructions.joined(separator: " and ")), which this one does not have"
      case .notInitialized(let reason):
        "intel-ipsec-mb cannot be used: \(reason)"
      }
    }
  }
#endif
