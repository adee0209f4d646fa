// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import CZSSPCryptoMB
  import Foundation
  import Synchronization
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSwiftCrypto

  @testable import ZSSPCryptoMB

  /// False where the library or the processor's instructions are missing. `Providers.swift` prints
  /// it.
  private let isAvailable = (try? CryptoMBProvider(base: .swiftCrypto)) != nil

  @Suite("crypto_mb", .tags(.fast), .enabled(if: isAvailable))
  struct CryptoMBTests {
    private let base = SwiftCryptoProvider()
    private let provider: CryptoMBProvider
    private let lanes: any AgreementBatches

    init() throws {
      provider = try CryptoMBProvider(base: base)
      lanes = try #require(provider.batches)
    }

    @Test("the name is that of both libraries")
    func name() {
      #expect(provider.name.hasPrefix("crypto_mb ") && provider.name.hasSuffix(" with " + base.name))
    }

    /// `ZSSP_FULL_AGREEMENTS` sets the number of pairs.
    @Test("lanes give the secrets, keys and points of another provider")
    func crossCheck() throws {
      let wanted = ProcessInfo.processInfo.environment["ZSSP_FULL_AGREEMENTS"].flatMap(Int.init) ?? 400
      var done = 0
      while done < wanted {
        let count = 1 + done % 8
        let own = lanes.generate(count)
        let peers = (0..<count).map { _ in base.generateAgreementKey() }
        let decoded = lanes.decode(peers.map(\.publicKey))
        let pairs = try zip(own, decoded).map { ($0, try #require($1)) }
        for (lane, secret) in lanes.agree(pairs).enumerated() {
          let expected = try peers[lane].sharedSecret(with: base.agreementPublicKey(own[lane].publicKey))
          #expect(secret.map { $0 == expected } == true)
        }
        done += count
      }
    }

    @Test("about half of all x are points, in lanes as elsewhere")
    func points() throws {
      var accepted = 0
      for round in 0..<40 {
        let keys = try (0..<8).map { _ in
          try #require(PublicKey([2 + UInt8(round % 2)] + base.random(48).bytes.array))
        }
        for (key, decoded) in zip(keys, lanes.decode(keys)) {
          #expect((decoded != nil) == ((try? base.agreementPublicKey(key)) != nil), "\(key)")
          accepted += decoded == nil ? 0 : 1
        }
      }
      #expect((80...240).contains(accepted))
    }

    @Test("a lane that fails leaves the others alone")
    func oneFails() throws {
      let own = lanes.generate(3)
      let peers = (0..<3).map { _ in base.generateAgreementKey() }
      let offCurve = try #require(PublicKey([2] + .init(repeating: 0xff, count: 48)))
      let keys: [any AgreementPublicKey] = [
        try provider.agreementPublicKey(peers[0].publicKey), AgreementTests.ForeignKey(offCurve),
        AgreementTests.ForeignKey(peers[2].publicKey),
      ]
      let secrets = lanes.agree(zip(own, keys).map { ($0, $1) })
      #expect(secrets.map { $0 == nil } == [false, true, false])
      for lane in [0, 2] {
        let expected = try peers[lane].sharedSecret(with: base.agreementPublicKey(own[lane].publicKey))
        #expect(secrets[lane].map { $0 == expected } == true)
      }
      #expect(
        lanes.decode([peers[0].publicKey, offCurve, peers[2].publicKey]).map { $0 == nil } == [false, true, false])
    }

    @Test("keys of both kinds and of other providers agree with each other")
    func mixed() throws {
      let alone = provider.generateAgreementKey()
      let together = lanes.generate(2)
      let foreign = base.generateAgreementKey()
      let keys = [alone, together[0], together[1], foreign]
      let decodedTogether = lanes.decode(keys.map(\.publicKey))
      for one in keys {
        for (index, other) in keys.enumerated() {
          let expected = try other.sharedSecret(with: base.agreementPublicKey(one.publicKey))
          let decoded = try #require(decodedTogether[index])
          #expect(try one.sharedSecret(with: decoded) == expected)
          #expect(try one.sharedSecret(with: provider.agreementPublicKey(other.publicKey)) == expected)
          let secrets = lanes.agree([(one, decoded), (one, try provider.agreementPublicKey(other.publicKey))])
          #expect(secrets.allSatisfy { $0.map { $0 == expected } == true })
        }
      }
    }

    @Test("the ends of the range, in all lanes")
    func ends() throws {
      let largest: [UInt8] = try [UInt8](hex: AgreementTests.order).dropLast() + [0x72]
      let one = [UInt8](repeating: 0, count: 47) + [1]
      let peer = base.generateAgreementKey().publicKey
      let decoded = try #require(lanes.decode([peer])[0])
      let pairs = try (0..<8).map { lane in
        (
          own: try LaneByLane(provider).agreementKey(privateBytes: (lane % 2 == 0 ? one : largest).rawBytes),
          peer: decoded
        )
      }
      // Both ends give the point itself or its mirror image, which have the same x.
      let x = Secret(copying: peer.bytes.extracting(1..<49))
      #expect(lanes.agree(pairs).allSatisfy { $0.map { $0 == x } == true })
    }

    /// The secrets come from OpenSSL and from a plain implementation.
    @Test("the points with the x-coordinate 0, and the secret that is zero, in all lanes")
    func zero() throws {
      let secrets: [(scalar: UInt8, secret: String)] = [
        (1, String(repeating: "0", count: 96)),
        (2, "e4e7e016520123e12ff7f1681c4cbde6d59bc7d5f5eafbe9a2b16ba000df18cd02f115da375615bcfdd3019154164f90"),
        (3, "dfdb68273b823145e24ce37befb4ef1879f1f36bc6fe1926cd548ec105482ca3bd053af755178f39bdb37d8a236b0d6b"),
      ]
      let points = try [2, 3].map { try #require(PublicKey([$0] + .init(repeating: 0, count: 48))) }
      let decoded = lanes.decode((0..<8).map { points[$0 % 2] })
      for (scalar, expected) in secrets {
        let bytes = [UInt8](repeating: 0, count: 47) + [scalar]
        let own = try LaneByLane(provider).agreementKey(privateBytes: bytes.rawBytes)
        let agreed = lanes.agree(try decoded.map { (own, try #require($0)) })
        #expect(agreed.map { $0?.bytes.hexadecimal } == Array(repeating: expected, count: 8))
        for point in points {
          let alone = try base.agreementKey(privateBytes: bytes.rawBytes).sharedSecret(
            with: base.agreementPublicKey(point))
          #expect(alone.bytes.hexadecimal == expected)
        }
      }
    }

    @Test("the known answers are those of another provider")
    func answers() throws {
      let all = LaneAnswer.all
      #expect(all.count == lanes.size && Set(all.map(\.privateKey)).count == lanes.size)
      for (lane, answer) in all.enumerated() {
        let key = try base.agreementKey(privateBytes: SelfTest.bytes(answer.privateKey).rawBytes)
        #expect(key.publicKey.bytes.hexadecimal == answer.publicKey)
        let next = try #require(PublicKey(SelfTest.bytes(all[(lane + 1) % all.count].publicKey)))
        let secret = try key.sharedSecret(with: base.agreementPublicKey(next))
        #expect(secret.bytes.hexadecimal == answer.secret)
      }
    }

    @Test("the stack that the library uses is wiped")
    func stack() throws {
      let library = try Library.installed.get()
      #expect(library.wipedStack >= 48 << 10 && library.wipedStack < 128 << 10 && provider.failedOperations == 0)
    }

    @Test("the self test covers single operations and lanes")
    func selfTest() throws { try provider.selfTest() }
  }

  /// Faults of the library. Its functions have no context, so the fault is shared.
  @Suite("A broken crypto_mb", .tags(.fast), .enabled(if: isAvailable), .serialized)
  struct BrokenCryptoMBTests {
    private let base = SwiftCryptoProvider()

    /// Returns a library whose functions have the faults that ``LibraryFault`` is set to.
    private func functions() throws -> zssp_crypto_mb {
      var functions = try Library.loaded()
      LibraryFault.install(functions)
      functions.public_keys = { x, y, z, scalars, buffer in
        let fault = LibraryFault.current
        if fault.stack > 0 { _ = useStack(fault.stack) }
        let status = LibraryFault.functions?.public_keys(x, y, z, scalars, buffer) ?? .max
        if let lane = fault.wrongKey { y?[lane]?[5] ^= 1 }
        return status | fault.keyStatus
      }
      functions.secrets = { secrets, scalars, x, y, z, buffer in
        let fault = LibraryFault.current
        let status = LibraryFault.functions?.secrets(secrets, scalars, x, y, z, buffer) ?? .max
        if let lane = fault.wrongSecret { secrets?[lane]?[47] ^= 1 }
        return status | fault.secretStatus
      }
      return functions
    }

    private func error(_ fault: LibraryFault) throws -> CryptoMBError? {
      let functions = try functions()
      return fault.during { () -> CryptoMBError? in
        do throws(CryptoMBError) {
          _ = try Library(testing: functions)
          return nil
        } catch {
          return error
        }
      }
    }

    @Test("is not used, whichever lane and operation is wrong")
    func wrongAnswers() throws {
      #expect(try error(LibraryFault()) == nil)
      for lane in 0..<8 {
        for fault in [
          LibraryFault(wrongKey: lane), LibraryFault(wrongSecret: lane), LibraryFault(keyStatus: 1 << (4 * lane)),
          LibraryFault(secretStatus: 8 << (4 * lane)),
        ] {
          let error = try #require(try error(fault))
          guard case .selfTestFailed(let failure) = error else {
            Issue.record("\(error)")
            continue
          }
          #expect(failure.provider.hasPrefix("crypto_mb ") && failure.function == .agreement)
          #expect(!error.isMissingHere && error.description.contains("self test"))
        }
      }
    }

    @Test("is not used if it needs more of the stack than is wiped; all that it needs is wiped")
    func stack() throws {
      guard case .stackTooLarge(let version)? = try error(LibraryFault(stack: 200)) else {
        Issue.record("a library with 200 KB is used")
        return
      }
      #expect(version.hasPrefix("crypto_mb "))
      let functions = try functions()
      let library = try LibraryFault(stack: 60).during { try Library(testing: functions) }
      #expect(library.wipedStack > 60 << 10)
    }

    @Test("harms no handshake: another provider does what fails, and failures are counted")
    func status() throws {
      let library = try Library(testing: functions())
      let lanes = Lanes(library: library, base: base)
      let peers = (0..<8).map { _ in base.generateAgreementKey() }
      let decoded = try lanes.decode(peers.map(\.publicKey)).map { try #require($0) }
      // Lanes 1 and 6 fail, each with another error.
      let keys = LibraryFault(wrongKey: 1, keyStatus: 0x0200_0010).during { lanes.generate(8) }
      #expect(lanes.failures == 2)
      for (lane, key) in keys.enumerated() {
        let secret = try key.sharedSecret(with: decoded[lane])
        #expect(try secret == peers[lane].sharedSecret(with: base.agreementPublicKey(key.publicKey)))
      }
      let pairs = zip(keys, decoded).map { ($0, $1) }
      let secrets = LibraryFault(wrongSecret: 7, secretStatus: 0x8000_0001).during { lanes.agree(pairs) }
      #expect(lanes.failures == 4)
      for (lane, secret) in secrets.enumerated() {
        let expected = try peers[lane].sharedSecret(with: base.agreementPublicKey(keys[lane].publicKey))
        #expect(secret.map { $0 == expected } == true)
      }
      let provider = CryptoMBProvider(base: base, library: library)
      #expect(provider.failedOperations == 4 && provider.batches?.failures == 4)
    }
  }

  /// Faults of the functions of a library.
  private struct LibraryFault: Sendable {
    /// The lane with another public key.
    var wrongKey: Int?
    /// The lane with another secret.
    var wrongSecret: Int?
    /// Statuses to report in addition: four bits for each lane.
    var keyStatus: UInt32 = 0
    var secretStatus: UInt32 = 0
    /// The kilobytes of the stack to use.
    var stack = 0

    private struct Shared: @unchecked Sendable {
      var fault = LibraryFault()
      // Pointers to functions, which may be called on any thread.
      var functions: zssp_crypto_mb?
    }

    private static let shared = Mutex(Shared())

    static var current: LibraryFault { shared.withLock { $0.fault } }
    /// The functions without faults.
    static var functions: zssp_crypto_mb? { shared.withLock { $0 }.functions }

    static func install(_ functions: zssp_crypto_mb) {
      let new = Shared(functions: functions)
      shared.withLock { $0 = new }
    }

    /// Does something while the functions have this fault.
    func during<Result>(_ body: () throws -> Result) rethrows -> Result {
      Self.shared.withLock { $0.fault = self }
      defer { Self.shared.withLock { $0.fault = LibraryFault() } }
      return try body()
    }
  }

  /// Uses some kilobytes of the stack.
  @inline(never)
  private func useStack(_ kilobytes: Int) -> UInt8 {
    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { bytes in
      bytes.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: kilobytes))
      return kilobytes <= 1 ? bytes[7] : useStack(kilobytes - 1) &+ bytes[9]
    }
  }

  @Suite("Reasons why crypto_mb cannot be used", .tags(.fast))
  struct CryptoMBErrorTests {
    @Test("say what to do")
    func texts() {
      let missing = CryptoMBError.libraryMissing(reason: "libcrypto_mb.so.13 cannot be loaded: not found")
      #expect(missing.description.contains("Scripts/crypto-mb") && missing.description.contains("not found"))
      #expect(CryptoMBError.processorLacksInstructions(reason: "AVX-512").description.contains("AVX-512"))
    }
  }
#endif
