// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  /// The reason why intel-ipsec-mb cannot be used.
  public enum IPsecMBError: Error, Equatable, CustomStringConvertible {
    /// The processor lacks these instructions. Without them the library would use tables, which is
    /// slow and takes a time that depends on the key.
    case processorLacks([String])
    /// The library could not be initialized, or failed its own self test.
    case notInitialized(reason: String)

    /// The missing feature or the failure, for people.
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
