import ParallaxMetrics

extension MetricsRegistry {
  /// The text of a scrape.
  func text(_ format: ExpositionFormat = .text) -> String {
    String(decoding: render(format), as: UTF8.self)
  }
}
