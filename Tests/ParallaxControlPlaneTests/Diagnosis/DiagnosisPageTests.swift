import Foundation
import ParallaxAPI
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// Holds docs/operations/troubleshooting.md against the checks.
@Suite struct DiagnosisPageTests {
  private static func headings() throws -> [String] {
    let page = try String(contentsOf: ProjectLayout.root.appending(path: DiagnosisCheck.page), encoding: .utf8)
    return page.split(separator: "\n").filter { $0.hasPrefix("## ") }.map { String($0.dropFirst("## ".count)) }
  }

  @Test func everyCheckHasItsSectionAndEverySectionItsCheck() throws {
    #expect(try Self.headings() == DiagnosisCheck.allCases.map(\.rawValue))
  }

  @Test func theLinkOfACheckIsTheAnchorOfItsHeading() {
    for check in DiagnosisCheck.allCases {
      let anchor = check.rawValue.lowercased().filter { $0.isLetter || $0.isNumber || $0 == "-" }
      #expect(check.section == "docs/operations/troubleshooting.md#\(anchor)")
    }
  }
}
