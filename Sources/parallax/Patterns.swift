import ArgumentParser
import Foundation
import ParallaxAPI

/// The command `parallax patterns`.
struct Patterns: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows, checks and registers patterns.",
    subcommands: [List.self, Get.self, History.self, Validate.self, Apply.self])

  /// The command `parallax patterns list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists patterns, the latest version of each.")

    @Option(help: "Only those whose name or description has this text.")
    var search: String?

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let list = try await ControlPlaneClient.with(server) { [search] client in
        let query = [("search", search), ("limit", "100")]
        var all: PatternList = try Printer.decode(try await client.get("/api/patterns", query: query))
        while all.patterns.count < all.total {
          let offset = ("offset", "\(all.patterns.count)" as String?)
          let page: PatternList = try Printer.decode(try await client.get("/api/patterns", query: query + [offset]))
          if page.patterns.isEmpty { break }
          all.patterns += page.patterns
        }
        return all
      }
      if list.patterns.isEmpty, server.output == .table { Printer.note("No pattern matches.") }
      try Printer(server.output).show(JSON.encode(list), as: PatternList.self) { $0.patterns.isEmpty ? [] : [table($0.patterns)] }
    }
  }

  /// The command `parallax patterns get`.
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one pattern.")

    @Argument(help: "The pattern's name.")
    var name: String

    @Option(help: "The version. Default: the latest.")
    var version: String?

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [name, version] in
        try await $0.get("/api/patterns/\(name.pathSegment)", query: [("version", version)])
      }
      try Printer(server.output).show(answer, as: PatternDefinition.self) { [details($0)] }
    }
  }

  /// The command `parallax patterns history`.
  struct History: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the versions of a pattern, the latest first.")

    @Argument(help: "The pattern's name.")
    var name: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [name] in
        try await $0.get("/api/patterns/\(name.pathSegment)/versions")
      }
      try Printer(server.output).show(answer, as: PatternVersions.self) { [table($0.versions)] }
    }
  }

  /// The command `parallax patterns validate`.
  struct Validate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Has a node check the patterns of files, and says what `apply` would change; stores nothing.")

    @OptionGroup var files: PatternFiles
    @OptionGroup var server: ServerOptions

    mutating func run() async throws { try await files.post(isDryRun: true, server) }
  }

  /// The command `parallax patterns apply`.
  struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Registers the patterns of YAML or JSON files.",
      discussion:
        "Says of each whether it was created, updated or unchanged. A file with a fault does not keep the others back; the exit code is 1 then."
    )

    @OptionGroup var files: PatternFiles
    @OptionGroup var server: ServerOptions

    mutating func run() async throws { try await files.post(isDryRun: false, server) }
  }
}

/// The files of patterns that a command reads.
struct PatternFiles: ParsableArguments {
  @Argument(help: "The files, or folders with files *.yaml, *.yml and *.json, or - for standard input.")
  var paths: [String]

  private static let types = ["yaml", "yml", "json"]

  /// What became of the pattern of a file.
  private struct Outcome: Codable {
    var file: String
    var name: String?
    var version: String?
    /// `created`, `updated` or `unchanged`; nil for a faulty file.
    var change: String?
    var error: String?
  }

  /// The files, those of folders by name.
  func files() throws -> [String] {
    try paths.flatMap { path -> [String] in
      var isFolder: ObjCBool = false
      guard path != "-", FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else { return [path] }
      let names = try FileManager.default.contentsOfDirectory(atPath: path).filter { name in
        Self.types.contains { name.hasSuffix("." + $0) }
      }
      guard !names.isEmpty else { throw CommandFailure(.usage, "\(path) has no file *.yaml, *.yml or *.json") }
      return names.sorted().map { (path.hasSuffix("/") ? path : path + "/") + $0 }
    }
  }

  /// Sends each file to a node and prints what became of it.
  ///
  /// - Throws: ``CommandFailure``, of `.failed` if a file is faulty.
  func post(isDryRun: Bool, _ server: ServerOptions) async throws {
    let files = try files()
    let outcomes = try await ControlPlaneClient.with(server) { client in
      var outcomes: [Outcome] = []
      for file in files { outcomes.append(try await post(file, isDryRun: isDryRun, client)) }
      return outcomes
    }
    try Printer(server.output).show(JSON.encode(outcomes), as: [Outcome].self) { [table($0)] }
    let faults = outcomes.compactMap { outcome in outcome.error.map { "\(outcome.file): \($0)" } }
    if !faults.isEmpty { throw CommandFailure(.failed, faults.joined(separator: "; ")) }
  }

  private func post(_ file: String, isDryRun: Bool, _ client: ControlPlaneClient) async throws -> Outcome {
    let definition = try file == "-" ? InputText.bytes(of: "-") : InputText.contents(of: file)
    do {
      let answer = try await client.post(
        "/api/patterns", query: [("dryRun", isDryRun ? "true" : nil)], body: definition,
        contentType: file.hasSuffix(".json") ? "application/json" : "application/x-yaml")
      let stored: PatternCreated = try Printer.decode(answer)
      let change = stored.created ? "created" : stored.changed ? "updated" : "unchanged"
      return Outcome(file: file, name: stored.name, version: stored.version, change: change)
    } catch let failure as CommandFailure where failure.exitCode == .failed {
      return Outcome(file: file, error: failure.message)
    }
  }

  private func table(_ outcomes: [Outcome]) -> Table {
    Table(
      rows: outcomes.map { outcome in
        [
          "\(outcome.name ?? outcome.file)", "\(outcome.version ?? "-")",
          Table.Cell(outcome.change ?? "faulty", style: outcome.error == nil ? .good : .bad),
        ]
      })
  }
}

private func agents(_ pattern: PatternDefinition) -> String {
  let agents = pattern.agents
  let count = agents.min == agents.max ? "\(agents.min)" : "\(agents.min)-\(agents.max)"
  return "\(count) \(agents.capabilities.joined(separator: ","))"
}

private func table(_ patterns: [PatternDefinition]) -> Table {
  let rows = patterns.map { pattern -> [Table.Cell] in
    [
      "\(pattern.name)", "\(pattern.version)", "\(agents(pattern))", "\(pattern.aggregation.strategy.rawValue)",
      "\(pattern.timeout?.duration.text ?? "-")", "\(pattern.description ?? "-")",
    ]
  }
  return Table("NAME", "VERSION", "AGENTS", "AGGREGATION", "TIMEOUT", "DESCRIPTION", rows: rows)
}

private func details(_ pattern: PatternDefinition) -> Table {
  let aggregation = pattern.aggregation
  let parts = [
    aggregation.method?.rawValue, aggregation.field.map { "by \($0)" }, aggregation.threshold.map { "threshold \($0)" },
  ]
  let strategy = ([aggregation.strategy.rawValue] + parts.compactMap(\.self)).joined(separator: " ")
  return Table(rows: [
    ["Pattern", "\(pattern.name)"], ["Version", "\(pattern.version)"], ["Description", "\(pattern.description ?? "-")"],
    ["Agents", "\(agents(pattern))"], ["Aggregation", "\(strategy)"],
    ["Timeout", "\(pattern.timeout?.duration.text ?? "-")"], ["Retries", "\(pattern.retries)"],
  ])
}
