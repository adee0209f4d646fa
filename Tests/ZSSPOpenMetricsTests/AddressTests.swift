// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPOpenMetrics
import ZSSPTestSupport

/// The addresses at which metrics are served.
@Suite(.tags(.fast))
struct AddressTests {
  @Test(arguments: [
    ("127.0.0.1:9600", true), ("127.255.0.3:0", true), ("[::1]:9600", true), ("[::ffff:127.0.0.1]:9600", true),
    ("/run/zssp/metrics.sock", true), ("0.0.0.0:9600", false), ("[::]:9600", false), ("192.0.2.1:9600", false),
    ("[2001:db8::127]:1", false), ("[::ffff:192.0.2.1]:1", false),
  ])
  func addresses(text: String, isLocal: Bool) throws {
    let address = try MetricsAddress(text)
    #expect(address.isLocal == isLocal)
    #expect((address.warning == nil) == isLocal)
    if !text.contains("ffff") { #expect("\(address)" == text) }
  }

  /// A wildcard must be written: nothing stands for it.
  @Test(arguments: [
    "", ":9600", "9600", "127.0.0.1", "127.0.0.1:65536", "localhost:9600", "*:9600", "metrics.sock", "./m", "unix:/m",
    "::1:9600",
    "/run/", "/", "/" + String(repeating: "x", count: 103), "/a\u{0}b", "127.0.0.1:9600 ",
  ])
  func noAddresses(text: String) {
    #expect { try MetricsAddress(text) } throws: { error in "\(error)".hasPrefix("\"\(text)\": ") }
  }

  @Test func aMissingAddressHasARemedy() {
    #expect { try MetricsAddress(":9600") } throws: { error in
      "\(error)".contains("127.0.0.1:9600") && "\(error)".contains("0.0.0.0:9600")
    }
  }
}
