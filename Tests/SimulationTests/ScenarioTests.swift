import Foundation
import ParallaxHA
import ParallaxTesting
import Testing

/// Scripted runs: the texts in *Scenarios*, each with its expected effects.
///
/// `PARALLAX_REWRITE=1 swift test --filter ScenarioTests` writes the actual effects into the texts, for `git diff`.
@Suite struct ScenarioTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Scenarios")

  static let scenarios: [String] = {
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    let texts = (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "txt" }
    return texts.map { $0.pathComponents.suffix(2).joined(separator: "/") }.sorted()
  }()

  private static func run(_ script: String) throws -> String {
    try ElectionScenario(script).run { WrongRule(rawValue: $0).map(WrongRules.init) }
  }

  @Test("The effects are those of the script", arguments: scenarios)
  func happens(as name: String) throws {
    let url = Self.folder.appending(path: name)
    let expected = try String(contentsOf: url, encoding: .utf8)
    let actual = try Self.run(expected)
    if isRewriting {
      try actual.write(to: url, atomically: true, encoding: .utf8)
    } else {
      #expect(actual == expected, "\n\(difference(from: expected, to: actual))")
    }
  }

  @Test("A trap catches its wrong rule only", arguments: scenarios.filter { $0.hasPrefix("traps/") })
  func isTrap(_ name: String) throws {
    let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("defect ") })
    let harm = ["A PROMISE IS BROKEN", "nobody leads"]
    let wrong = try Self.run(text)
    #expect(harm.contains { wrong.contains($0) })
    let right = try Self.run(text.replacing("\(line)\n", with: ""))
    #expect(!harm.contains { right.contains($0) }, "\(right)")
  }

  @Test func everyWrongRuleHasItsScenario() throws {
    let texts = try Self.scenarios.map { try String(contentsOf: Self.folder.appending(path: $0), encoding: .utf8) }
    for rule in WrongRule.allCases where !rule.isOfWitness {
      #expect(texts.contains { $0.contains("defect \(rule)\n") }, "\(rule)")
    }
  }

  @Test func scenariosExist() {
    #expect(Self.scenarios.count > 40)
  }

  @Test func aDifferenceShowsMissingAndAddedLines() {
    #expect(difference(from: "a\nb\nc\nd", to: "a\nc\nx\nd") == "  a\n- b\n  c\n+ x\n  d")
  }

  @Test(
    "A script that makes no sense is refused with its line",
    arguments: ["leap", "node", "kill a", "run 5", "node a\nnode a", "node a\nlose a hope", "node a priority=high", "defect haste"])
  func mistakes(_ script: String) {
    #expect {
      try Self.run(script)
    } throws: {
      "\($0)".hasPrefix("line \(script.split(separator: "\n").count), ")
    }
  }
}

/// The lines of two texts side by side: removed with a minus, added with a plus.
private func difference(from old: String, to new: String) -> String {
  let (old, new) = (
    old.split(separator: "\n", omittingEmptySubsequences: false), new.split(separator: "\n", omittingEmptySubsequences: false)
  )
  let changes = new.difference(from: old)
  let removed = Set(changes.removals.map { if case .remove(let offset, _, _) = $0 { offset } else { -1 } })
  let inserted = Set(changes.insertions.map { if case .insert(let offset, _, _) = $0 { offset } else { -1 } })
  var (lines, i, j): ([String], Int, Int) = ([], 0, 0)
  while i < old.count || j < new.count {
    if removed.contains(i), i < old.count {
      lines.append("- \(old[i])")
      i += 1
    } else if inserted.contains(j), j < new.count {
      lines.append("+ \(new[j])")
      j += 1
    } else {
      lines.append("  \(new[j])")
      i += 1
      j += 1
    }
  }
  return lines.joined(separator: "\n")
}
