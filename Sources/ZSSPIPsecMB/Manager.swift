// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB

  /// The library's table of functions, chosen for this processor.
  ///
  /// The library needs a manager for each thread that submits jobs. No jobs are submitted here: the
  /// functions work on their arguments, and only read the manager, so all threads share one.
  struct Manager: @unchecked Sendable {
    let pointer: UnsafePointer<IMB_MGR>

    /// The manager of this process. It is never freed.
    static let shared = Result { () throws(IPsecMBError) in try Manager() }

    private init() throws(IPsecMBError) {
      guard let manager = alloc_mb_mgr(0) else { throw .notInitialized(reason: "no memory for its tables") }
      let missing = Self.missingInstructions(manager.pointee.features)
      guard missing.isEmpty else {
        free_mb_mgr(manager)
        throw .processorLacks(missing)
      }
      init_mb_mgr_auto(manager, nil)
      let error = imb_get_errno(manager)
      guard error == 0, !zssp_mb_is_broken(manager) else {
        free_mb_mgr(manager)
        throw .notInitialized(
          reason: error == 0 ? "it failed its own test" : imb_get_strerror(error).map { String(cString: $0) } ?? "?")
      }
      pointer = UnsafePointer(manager)
    }

    /// Returns the names of the instructions that AES-GCM needs and `features` does not have.
    static func missingInstructions(_ features: UInt64) -> [String] {
      [("AES-NI", IMB_FEATURE_AESNI), ("PCLMULQDQ", IMB_FEATURE_PCLMULQDQ), ("SSE4.2", IMB_FEATURE_SSE4_2)]
        .filter { features & $0.1 == 0 }.map(\.0)
    }
  }
#endif
