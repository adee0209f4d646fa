// SPDX-License-Identifier: Apache-2.0

/// A text format of metrics.
public enum MetricsFormat: String, Sendable, Hashable, CaseIterable, Codable {
  /// OpenMetrics 1.0.
  case openMetrics
  /// The text format of Prometheus, version 0.0.4. Every Prometheus reads it, and node_exporter's
  /// textfile collector reads only this one.
  case prometheus

  /// The value of the header `Content-Type`.
  public var contentType: String {
    switch self {
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    }
  }

  /// The format that a client prefers. Without a header, and where neither format is named, it is
  /// ``prometheus``.
  ///
  /// - Parameter accept: The values of the header `Accept` (RFC 9110, section 12.5.1).
  public init(accept: some Sequence<String>) {
    var openMetrics = 0.0
    var text = 0.0
    for element in accept.flatMap({ $0.split(separator: ",") }) {
      guard let range = MediaRange(element) else { continue }
      switch range.type {
      case "application/openmetrics-text" where range.version == nil || range.version == "1.0.0":
        openMetrics = max(openMetrics, range.quality)
      case "text/plain", "text/*", "*/*": text = max(text, range.quality)
      default: break
      }
    }
    self = openMetrics > 0 && openMetrics >= text ? .openMetrics : .prometheus
  }
}

/// An element of the header `Accept`.
private struct MediaRange {
  let type: String
  private(set) var version: String?
  private(set) var quality = 1.0

  /// Parses an element; nil if its weight is no number from 0 to 1.
  init?(_ text: Substring) {
    let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)
    type = parts[0].lowercased()
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1).map(Self.trimmed)
      guard pair.count == 2 else { continue }
      switch pair[0].lowercased() {
      case "version": version = String(pair[1])
      case "q":
        guard let value = Double(pair[1]), (0...1).contains(value) else { return nil }
        quality = value
      default: break
      }
    }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
