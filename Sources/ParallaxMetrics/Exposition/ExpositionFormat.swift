/// A text format of metrics for Prometheus.
public enum ExpositionFormat: Hashable, Sendable {
  /// The Prometheus text format 0.0.4, which every scraper supports.
  case text
  /// OpenMetrics 1.0.0.
  case openMetrics

  /// The value of the response's `Content-Type` header.
  public var contentType: String {
    switch self {
    case .text: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  /// Chooses the format for a request.
  ///
  /// OpenMetrics is chosen only if the client names it and prefers it at least as much as plain text; any other header, and an unreadable
  /// one, gets the text format.
  /// - Parameter accept: The value of the request's `Accept` header, several headers joined by commas; nil without that header.
  public init(accept: String?) {
    var openMetrics = 0.0
    var text = 0.0
    for range in (accept ?? "").split(separator: ",") {
      guard let range = MediaRange(range) else { continue }
      switch range.type {
      case "application/openmetrics-text" where range.version == nil || range.version == "1.0.0":
        openMetrics = max(openMetrics, range.quality)
      case "text/plain" where range.version == nil || range.version == "0.0.4":
        text = max(text, range.quality)
      default:
        continue
      }
    }
    self = openMetrics > 0 && openMetrics >= text ? .openMetrics : .text
  }
}

/// One element of an `Accept` header.
private struct MediaRange {
  let type: String
  private(set) var version: String?
  private(set) var quality = 1.0

  init?(_ text: Substring) {
    let parts = text.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
    guard let type = parts.first else { return nil }
    self.type = type.lowercased()
    for parameter in parts.dropFirst() {
      let pair = parameter.split(separator: "=", maxSplits: 1)
      guard pair.count == 2 else { continue }
      switch pair[0].lowercased() {
      case "version": version = String(pair[1])
      case "q": quality = Double(pair[1]) ?? 0
      default: continue
      }
    }
  }
}
