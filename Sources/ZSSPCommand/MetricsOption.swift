// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSPNIO
import ZSSPOpenMetrics

/// The option that serves metrics.
struct MetricsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Serve metrics for Prometheus on this address, 127.0.0.1:9600, or on a Unix socket with this absolute path. Default: none.",
      valueName: "addr:port|path"))
  var metrics: String?

  /// Returns the address; nil for none.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  func address() throws(CommandFailure) -> MetricsAddress? {
    guard let metrics else { return nil }
    do throws(MetricsAddressError) { return try MetricsAddress(metrics) } catch { throw .usage("--metrics \(error)") }
  }

  /// Serves the metrics of an endpoint, if asked for, while `body` runs.
  ///
  /// - Throws: ``CommandFailure/failed(_:)`` if the address cannot be used, or the error of `body`.
  static func serving(
    _ endpoint: UDPEndpoint, on address: MetricsAddress?, to reporter: Reporter, body: () async throws -> Void
  ) async throws {
    guard let address else { return try await body() }
    let server: MetricsServer
    do throws(MetricsServerError) {
      server = try await MetricsServer.start(on: address) { await SessionFamilies.make(endpoint) }
    } catch {
      throw CommandFailure.failed("\(error)")
    }
    if let warning = address.warning { Terminal.warning("--metrics: \(warning)") }
    var report = Report("metrics")
    report.address = "\(server.address)"
    reporter.report(report, text: "metrics are served on \(server.address)")
    do { try await body() } catch {
      await server.stop()
      throw error
    }
    await server.stop()
  }
}
