// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import Foundation
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPOpenSSL

  @Suite("OpenSSL", .tags(.fast))
  struct OpenSSLTests {
    @Test("the name is that of the library that runs")
    func name() throws {
      let provider = try OpenSSLProvider()
      #expect(provider.name.wholeMatch(of: /OpenSSL 3\.\d+\.\d+.*/) != nil, "\(provider.name)")
      #expect(!provider.name.contains("FIPS") && !provider.isFIPS)
      #expect(try (.openSSL() as any CryptoProvider).name == provider.name)
    }

    @Test("FIPS is all or nothing, and says what is missing")
    func fips() throws {
      do throws(OpenSSLError) {
        let provider = try OpenSSLProvider(fips: true)
        #expect(provider.isFIPS && provider.name.hasSuffix(" (FIPS)"))
      } catch {
        guard case .fipsModuleMissing(let reason, let modules, let configuration) = error else {
          Issue.record("\(error)")
          return
        }
        #expect(!reason.isEmpty && modules.hasPrefix("/") && configuration.hasPrefix("/"))
        for part in [reason, modules, configuration, "fips.so", "OPENSSL_MODULES", "OPENSSL_CONF", "fipsinstall"] {
          #expect(error.description.contains(part), "\(error)")
        }
      }
    }

    @Test("the process's default context stays as it was")
    func defaultContext() throws {
      _ = try OpenSSLProvider()
      _ = try? OpenSSLProvider(fips: true)
      // Whoever tests with the FIPS module tells OpenSSL so by a configuration, which is the
      // default context's too.
      guard getenv("OPENSSL_CONF") == nil else { return }
      #expect(zssp_EVP_default_properties_is_fips_enabled(nil) == 0)
      #expect(zssp_OSSL_PROVIDER_available(nil, "fips") == 0)
    }

    @Test("what is refused leaves the thread's error queue alone")
    func errorQueue() throws {
      let provider = try OpenSSLProvider()
      zssp_ERR_clear_error()
      try refuse(provider)
      #expect(zssp_ERR_peek_error() == 0)
      // An error of the application's own.
      #expect(zssp_EVP_MD_fetch(nil, "no such digest", nil) == nil)
      let own = zssp_ERR_peek_last_error()
      #expect(own != 0)
      try refuse(provider)
      _ = try? OpenSSLProvider(fips: true)
      #expect(zssp_ERR_peek_last_error() == own)
      zssp_ERR_clear_error()
    }

    private func refuse(_ provider: OpenSSLProvider) throws {
      let offCurve = try #require(PublicKey([2] + .init(repeating: 0xff, count: 48)))
      #expect(throws: CryptoFailure.self) { try provider.agreementPublicKey(offCurve) }
      let zero = [UInt8](repeating: 0, count: 48)
      #expect(throws: CryptoFailure.self) { try provider.agreementKey(privateBytes: zero.rawBytes) }
      let large = [UInt8](repeating: 0xff, count: 1568)
      #expect(throws: CryptoFailure.self) { try provider.encapsulate(to: large.rawBytes, for: .mlkem1024) }
      var forged = [UInt8](repeating: 1, count: 100)
      let key = provider.packetKey(provider.random(32))
      #expect(!forged.withMutableBytes { key.open(&$0, nonce: Nonce(type: 8, counter: 1), authenticating: RawSpan()) })
    }

    @Test("threads hash at once, and end, without getting into each other's way")
    func threads() throws {
      let provider = try OpenSSLProvider()
      let first = [UInt8](repeating: 7, count: 200)
      let second = [UInt8](repeating: 9, count: 50)
      let expected = provider.hash(first.rawBytes, second.rawBytes).bytes.hexadecimal
      let failures = FailureCount()
      let group = DispatchGroup()
      for _ in 0..<16 {
        group.enter()
        Thread.detachNewThread {
          for _ in 0..<200 where provider.hash(first.rawBytes, second.rawBytes).bytes.hexadecimal != expected {
            failures.add()
          }
          group.leave()
        }
      }
      group.wait()
      #expect(failures.count == 0)
    }

    @Test("a tag of the wrong place and messages too short are refused")
    func short() throws {
      let key = try OpenSSLProvider().packetKey([UInt8](repeating: 1, count: 32).secret)
      for size in 0..<16 {
        var message = [UInt8](repeating: 0, count: size)
        let opened = message.withMutableBytes {
          key.open(&$0, nonce: Nonce(type: 8, counter: 0), authenticating: RawSpan())
        }
        #expect(!opened)
      }
    }
  }

  private final class FailureCount: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0
    var count: Int { lock.withLock { value } }
    func add() { lock.withLock { value += 1 } }
  }
#endif
