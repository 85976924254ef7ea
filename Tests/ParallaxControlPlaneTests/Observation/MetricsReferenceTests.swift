import Foundation
import ParallaxMetrics
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The list of all metrics that operators read.
@Suite struct MetricsReferenceTests {
  @Test func `The page of all metrics is the one that the node makes`() throws {
    let page = try String(contentsOf: ProjectLayout.root.appending(path: "docs/operations/metrics.md"), encoding: .utf8)
    let begin = try #require(page.range(of: "<!-- metrics: written by parallaxd --print-metrics-reference -->\n"))
    let end = try #require(page.range(of: "<!-- end of metrics -->"))
    #expect(
      page[begin.upperBound..<end.lowerBound] == (try MetricsReference.markdown()),
      "write the output of `parallaxd --print-metrics-reference` into the page")
  }

  @Test func `Every metric is described in one sentence, and listed once`() throws {
    let metrics = try MetricsReference.all()
    #expect(metrics.count > 25 && Set(metrics.map(\.name)).count == metrics.count)
    for metric in metrics {
      #expect(metric.help.hasSuffix(".") && !metric.help.contains("|"), "\(metric.name)")
    }
  }
}
