// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSPOpenMetrics

/// The text formats.
@Suite(.tags(.fast))
struct ExpositionTests {
  private func text(_ family: MetricFamily, as format: MetricsFormat) -> String {
    Exposition.text(of: [family], as: format)
  }

  @Test func aCounterHasItsUnitAndItsSuffix() {
    var family = MetricFamily("zssp_sent", kind: .counter, unit: .bytes, help: "Bytes.")
    family.add(7, labels: [MetricLabel("peer", "b")])
    #expect(
      text(family, as: .openMetrics)
        == """
        # TYPE zssp_sent_bytes counter
        # UNIT zssp_sent_bytes bytes
        # HELP zssp_sent_bytes Bytes.
        zssp_sent_bytes_total{peer="b"} 7
        # EOF

        """)
    #expect(
      text(family, as: .prometheus)
        == """
        # HELP zssp_sent_bytes_total Bytes.
        # TYPE zssp_sent_bytes_total counter
        zssp_sent_bytes_total{peer="b"} 7

        """)
  }

  @Test func anInfoIsAGaugeInPrometheus() {
    var family = MetricFamily("zssp_tunnel", kind: .info, help: "Texts.")
    family.add(.count(9), labels: [MetricLabel("listen", "[::]:1")])
    #expect(text(family, as: .openMetrics).contains("# TYPE zssp_tunnel info\n"))
    #expect(text(family, as: .prometheus).contains("# TYPE zssp_tunnel_info gauge\n"))
    for format in MetricsFormat.allCases {
      #expect(text(family, as: format).contains("\nzssp_tunnel_info{listen=\"[::]:1\"} 1\n"))
    }
  }

  @Test func bucketsAreCumulative() {
    var family = MetricFamily("d", kind: .histogram, unit: .seconds, help: "Times.")
    family.addHistogram(
      MetricHistogram(bounds: [0.5, 1], counts: [2, 0, 3], sum: 9.25), labels: [MetricLabel("a", "b")])
    #expect(
      text(family, as: .prometheus)
        == """
        # HELP d_seconds Times.
        # TYPE d_seconds histogram
        d_seconds_bucket{a="b",le="0.5"} 2
        d_seconds_bucket{a="b",le="1.0"} 2
        d_seconds_bucket{a="b",le="+Inf"} 5
        d_seconds_count{a="b"} 5
        d_seconds_sum{a="b"} 9.25

        """)
    #expect(text(family, as: .openMetrics).contains("# UNIT d_seconds seconds\n"))
  }

  /// A histogram takes no single value, and nothing else takes a histogram.
  @Test func kindsAreNotMixed() {
    var histogram = MetricFamily("h", kind: .histogram, help: "H.")
    histogram.add(1)
    #expect(histogram.samples.isEmpty)
    var gauge = MetricFamily("g", kind: .gauge, help: "G.")
    gauge.addHistogram(MetricHistogram(bounds: [1], counts: [1], sum: 1))
    #expect(gauge.samples.isEmpty)
  }

  @Test(arguments: [
    ([UInt64](), [0, 0, 0] as [UInt64]), ([1], [1, 0, 0]), ([1, 2, 3], [1, 2, 3]), ([1, 2, 3, 4, 5], [1, 2, 12]),
  ])
  func countsThatDoNotFitTheBounds(counts: [UInt64], expected: [UInt64]) {
    #expect(MetricHistogram(bounds: [1, 2], counts: counts, sum: 0).counts == expected)
  }

  @Test(arguments: [
    (MetricValue.count(0), "0"), (.count(.max), "18446744073709551615"), (.number(0.25), "0.25"),
    (.number(.nan), "NaN"), (.number(.infinity), "+Inf"), (.number(-.infinity), "-Inf"), (.number(1e-9), "1e-09"),
    (.number(-3), "-3.0"),
  ])
  func numbers(value: MetricValue, expected: String) { #expect(value.text == expected) }

  /// Characters that would end a value, a line or the text are escaped, and come back.
  @Test(
    arguments: [
      "", "plain", "a\"b", "a\\b", "a\nb", "\\n", "\"} 1\nevil 2", "a\rb", "naïve 😀", "# EOF", "\u{0}\u{1b}[2J",
    ],
    MetricsFormat.allCases)
  func labelsAreEscaped(text: String, format: MetricsFormat) throws {
    var family = MetricFamily("g", kind: .gauge, help: "Help with \\ and\na \"line\".")
    family.add(1, labels: [MetricLabel("a", text), MetricLabel("b", "c")])
    let parsed = try ParsedExposition(self.text(family, as: format), as: format)
    #expect(parsed.value("g", ["a": text, "b": "c"]) == "1")
    #expect(parsed.families["g"]?.help == "Help with \\ and\na \"line\".")
  }

  @Test(arguments: [
    ("zssp_a:b", "zssp_a:b", "zssp_a_b"), ("9a", "_a", "_a"), ("a-b c", "a_b_c", "a_b_c"), ("", "_", "_"),
    ("a\n# x", "a___x", "a___x"), ("ä", "_", "_"),
  ])
  func namesAreValid(name: String, family: String, label: String) {
    #expect(MetricName.family(name) == family)
    #expect(MetricName.label(name) == label)
  }

  @Test func whatHasNoSampleOrIsThereAlreadyIsLeftOut() {
    var first = MetricFamily("a", kind: .gauge, help: "A.")
    first.add(1)
    var second = MetricFamily("a", kind: .counter, help: "B.")
    second.add(2)
    let text = Exposition.text(of: [first, MetricFamily("b", kind: .gauge, help: "B."), second], as: .openMetrics)
    #expect(text == "# TYPE a gauge\n# HELP a A.\na 1\n# EOF\n")
    #expect(Exposition.text(of: [], as: .openMetrics) == "# EOF\n")
    #expect(Exposition.text(of: [], as: .prometheus).isEmpty)
  }

  @Test(arguments: [
    ([], MetricsFormat.prometheus), ([""], .prometheus), (["*/*"], .prometheus), (["text/html"], .prometheus),
    (["application/openmetrics-text"], .openMetrics), (["application/openmetrics-text; version=1.0.0"], .openMetrics),
    (["Application/OpenMetrics-Text;VERSION=1.0.0"], .openMetrics),
    (["application/openmetrics-text; version=0.0.1"], .prometheus),
    (["application/openmetrics-text;q=0"], .prometheus), (["application/openmetrics-text;q=nan"], .prometheus),
    (["application/openmetrics-text;q=2"], .prometheus), (["application/openmetrics-text;q="], .openMetrics),
    (["text/plain;version=0.0.4,application/openmetrics-text;q=0.9"], .prometheus),
    (["text/plain;q=0.5", "application/openmetrics-text;q=0.6"], .openMetrics),
    // As Prometheus 2 and 3 ask.
    (
      [
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
      ], .openMetrics
    ),
    (
      [
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1"
      ], .openMetrics
    ), ([";;;,,;q=,=;"], .prometheus),
  ])
  func theFormatThatAClientPrefers(accept: [String], expected: MetricsFormat) {
    #expect(MetricsFormat(accept: accept) == expected)
  }
}
