import ArgumentParser
import Foundation
import ParallaxAPI

/// The command `parallax patterns`.
struct Patterns: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows and registers patterns.", subcommands: [List.self, Apply.self])

  /// The command `parallax patterns list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists patterns, the latest version of each.")

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { try await $0.get("/api/patterns") }
      try Printer(server.output).show(answer, as: PatternList.self) { [table($0.patterns)] }
    }

    private func table(_ patterns: [PatternDefinition]) -> Table {
      let rows = patterns.map { pattern -> [Table.Cell] in
        let agents = pattern.agents
        let count = agents.min == agents.max ? "\(agents.min)" : "\(agents.min)-\(agents.max)"
        return [
          "\(pattern.name)", "\(pattern.version)", "\(count) \(agents.capabilities.joined(separator: ","))",
          "\(pattern.aggregation.strategy.rawValue)", "\(pattern.timeout?.duration.text ?? "-")", "\(pattern.description ?? "-")",
        ]
      }
      return Table("NAME", "VERSION", "AGENTS", "AGGREGATION", "TIMEOUT", "DESCRIPTION", rows: rows)
    }
  }

  /// The command `parallax patterns apply`.
  struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Registers the pattern of a YAML or JSON file.")

    @Argument(help: "The file, or - for standard input.")
    var file: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let definition = try file == "-" ? InputText.bytes(of: "-") : InputText.contents(of: file)
      let contentType = file.hasSuffix(".json") ? "application/json" : "application/x-yaml"
      let answer = try await ControlPlaneClient.with(server) {
        try await $0.post("/api/patterns", body: definition, contentType: contentType)
      }
      try Printer(server.output).show(answer, as: PatternCreated.self) { pattern in
        [Table(rows: [["\(pattern.name)", "\(pattern.version)", pattern.created ? "created" : "unchanged"]])]
      }
    }
  }
}
