import ParallaxMetrics

extension MetricsRegistry {
  /// What a scrape reads.
  func text(_ format: ExpositionFormat = .text) -> String {
    String(decoding: render(format), as: UTF8.self)
  }
}
