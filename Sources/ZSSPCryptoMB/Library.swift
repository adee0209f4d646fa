// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import CZSSPCryptoMB
  import Synchronization
  import ZSSP

  /// `crypto_mb`, which has given the known answers.
  ///
  /// A value of this type is the proof that the processor has the instructions.
  final class Library: @unchecked Sendable {
    // The C structure has pointers to functions, which may be called on any thread, and numbers.
    private let functions: zssp_crypto_mb
    private let failed = Atomic<UInt64>(0)

    static let scalarSize = Int(ZSSP_P384_SIZE)
    static let pointSize = 2 * Int(ZSSP_P384_SIZE)
    /// The largest number of operations for one call.
    static let lanes = Int(ZSSP_P384_LANES)

    /// The library of this machine. It is loaded and tested at the first use.
    static let installed = Result { () throws(CryptoMBError) in
      try Library(testing: try loaded())
    }

    /// Tests functions of the library, and takes them into use.
    ///
    /// - Throws: ``CryptoMBError`` if they must not be used.
    init(testing functions: zssp_crypto_mb) throws(CryptoMBError) {
      var functions = functions
      functions.stack = try Self.stackToWipe(after: functions)
      self.functions = functions
      try checkAnswers()
    }

    /// Returns the functions of the library, which are not tested yet.
    static func loaded() throws(CryptoMBError) -> zssp_crypto_mb {
      var functions = zssp_crypto_mb()
      var text = [CChar](repeating: 0, count: 512)
      let result = zssp_load_crypto_mb(&functions, &text, text.count)
      guard result != ZSSP_CRYPTO_MB_LOADED else { return functions }
      let reason = text.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      throw result == ZSSP_CRYPTO_MB_MISSING
        ? .libraryMissing(reason: reason) : .processorLacksInstructions(reason: reason)
    }

    /// "crypto_mb 2.3.0": the library that runs.
    var version: String { Self.version(of: functions) }

    /// The number of bytes of the stack that are wiped after each call.
    var wipedStack: Int { functions.stack }

    /// The number of operations that have failed at valid keys.
    var failures: UInt64 { failed.load(ordering: .relaxed) }

    private static func version(of functions: zssp_crypto_mb) -> String {
      "crypto_mb \(functions.major).\(functions.minor).\(functions.patch)"
    }

    // MARK: Tests

    /// Returns the number of bytes of the stack to wipe after each call.
    ///
    /// The library does not wipe all of its stack, and how much of it a release uses is no part of
    /// its interface, so it is measured. Release 2.3 uses 28 KB.
    private static func stackToWipe(after functions: zssp_crypto_mb) throws(CryptoMBError) -> Int {
      let scalars = LaneAnswer.joined(\.privateKey)
      let points = decode(LaneAnswer.joined(\.publicKey)).points
      let used = scalars.withUnsafeBytes { scalars in
        points.withUnsafeBytes { points in
          withUnsafePointer(to: functions) { functions in
            zssp_p384_measure_stack(functions, scalars.bytePointer, points.bytePointer)
          }
        }
      }
      guard used <= Int(ZSSP_P384_LARGEST_STACK) else { throw .stackTooLarge(version: version(of: functions)) }
      // A path that the known answers do not take may use more, so half as much is wiped as well.
      return max(48 << 10, used + used / 2)
    }

    /// Compares the answers of all lanes with the known ones.
    private func checkAnswers() throws(CryptoMBError) {
      let scalars = Secret(copying: LaneAnswer.joined(\.privateKey).rawBytes)
      let keys = publicKeys(of: scalars)
      let expected = Self.decode(LaneAnswer.joined(\.publicKey))
      let size = Self.pointSize
      let peers = Array(expected.points[size...] + expected.points[..<size])
      let secrets = secrets(of: scalars, with: peers)
      let answer = Secret(copying: LaneAnswer.joined(\.secret).rawBytes)
      guard keys.failed == 0, expected.refused == 0, keys.points == expected.points, secrets.failed == 0,
        secrets.joined == answer
      else { throw .selfTestFailed(SelfTestFailure(provider: version, function: .agreement)) }
    }

    // MARK: Operations

    /// Records that operations have failed at valid keys.
    func count(failures: Int) { failed.add(UInt64(failures), ordering: .relaxed) }

    /// Returns the public keys of joined scalars, which must be in range: x and then y of each, and
    /// a bit for each lane that failed.
    func publicKeys(of scalars: Secret) -> (points: [UInt8], failed: UInt32) {
      let count = scalars.count / Self.scalarSize
      var points = [UInt8](repeating: 0, count: count * Self.pointSize)
      let failed = scalars.bytes.withUnsafeBytes { scalars in
        points.withUnsafeMutableBytes { points in
          withUnsafePointer(to: functions) { functions in
            zssp_p384_public_keys(functions, count, scalars.bytePointer, points.bytePointer)
          }
        }
      }
      return (points, failed)
    }

    /// Returns the joined secrets of joined scalars and points, which must be valid, and a bit for
    /// each lane that failed.
    func secrets(of scalars: Secret, with points: [UInt8]) -> (joined: Secret, failed: UInt32) {
      let count = scalars.count / Self.scalarSize
      var failed: UInt32 = 0
      let secrets = Secret(count: count * Self.scalarSize) { output in
        output.withUnsafeMutableBytes { output in
          scalars.bytes.withUnsafeBytes { scalars in
            points.withUnsafeBytes { points in
              failed = withUnsafePointer(to: functions) { functions in
                zssp_p384_secrets(
                  functions, count, scalars.bytePointer, points.bytePointer, output.bytePointer)
              }
            }
          }
        }
      }
      return (secrets, failed)
    }

    /// Returns true if a secret is a private key: 48 bytes, not zero, below the group order.
    static func isInRange(_ scalar: Secret) -> Bool {
      scalar.count == scalarSize && scalar.bytes.withUnsafeBytes { zssp_p384_is_scalar($0.bytePointer) } == 1
    }

    /// Returns the coordinates of joined compressed points, and a bit for each that is none.
    ///
    /// This is our own, and only needs the processor's instructions.
    static func decode(_ encoded: [UInt8]) -> (points: [UInt8], refused: UInt32) {
      let count = encoded.count / PublicKey.size
      var points = [UInt8](repeating: 0, count: count * pointSize)
      let refused = encoded.withUnsafeBytes { encoded in
        points.withUnsafeMutableBytes { points in
          zssp_p384_decode(count, encoded.bytePointer, points.bytePointer)
        }
      }
      return (points, refused)
    }
  }

  extension UnsafeRawBufferPointer {
    /// The address of the first byte, for a C function to read.
    fileprivate var bytePointer: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
  }

  extension UnsafeMutableRawBufferPointer {
    /// The address of the first byte, for a C function to write to.
    fileprivate var bytePointer: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
  }
#endif
