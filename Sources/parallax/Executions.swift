import ArgumentParser
import Foundation
import ParallaxAPI

/// The command `parallax executions`.
struct Executions: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs patterns; shows, follows, cancels and retries executions.",
    subcommands: [Run.self, Get.self, List.self, Watch.self, Wait.self, Cancel.self, Retry.self])

  /// The command `parallax executions run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Executes a pattern and prints the result; exit code 1 when the execution does not complete.")

    @Argument(help: "The pattern's name.")
    var pattern: String

    @Option(name: .customLong("input"), help: ArgumentHelp("JSON, or @FILE, or - for standard input.", valueName: "json"))
    var inputText: String?

    @Flag(name: .customLong("async"), help: "Do not wait for the result.")
    var asynchronous = false

    @Option(help: "How long the execution may take, for instance 30s. Default: the pattern's time-out.", transform: duration(from:))
    var timeout: Duration?

    @Option(help: "The priority among executions that wait for the same agents.")
    var priority: Priority?

    @Option(help: "The idempotency key: a repeat with the same key returns the same execution. Default: a new key.")
    var idempotencyKey: String?

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let key = idempotencyKey ?? UUID().uuidString
      let request = ExecuteRequest(
        input: try inputText.map(InputText.value(of:)) ?? .null,
        options: .init(timeout: timeout, priority: priority?.wire, idempotencyKey: key))
      let body = try JSON.encode(request)
      let answer = try await ControlPlaneClient.with(server) { [pattern, asynchronous, timeout] client in
        try await client.post(
          "/api/patterns/\(pattern.pathSegment)/execute", query: [("async", asynchronous ? "true" : nil)], body: body,
          timeout: asynchronous ? .seconds(30) : (timeout ?? .seconds(86_400)) + .seconds(15))
      }
      let printer = Printer(server.output)
      guard let execution = try? JSON.decode(ExecutionDocument.self, from: answer, depthLimit: JSON.documentDepthLimit) else {
        // The request asked for an acknowledgement, or the node is about to stop and the execution continues elsewhere.
        return try printer.show(answer, as: ExecutionAcceptance.self, ExecutionTables.acceptance)
      }
      try printer.show(answer, as: ExecutionDocument.self, ExecutionTables.details)
      try execution.checkOutcome()
    }
  }

  /// The command `parallax executions get`.
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one execution.")

    @Argument(help: "The execution's id.")
    var id: String

    @OptionGroup var watch: WatchOptions
    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      try await ControlPlaneClient.with(server) { [self] client in
        try await LiveView.show(watch) {
          try Printer(server.output).text(
            of: await client.get("/api/executions/\(id.pathSegment)"), as: ExecutionDocument.self, ExecutionTables.details)
        }
      }
    }
  }

  /// The command `parallax executions list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists executions, newest first.")

    @Option(help: "Only of this pattern.")
    var pattern: String?

    @Option(help: "Only with this status.")
    var status: Status?

    @Option(help: "The number of executions.")
    var limit: Int?

    @Flag(help: "All executions, however many.")
    var all = false

    @OptionGroup var filter: ExecutionFilter
    @OptionGroup var watch: WatchOptions
    @OptionGroup var server: ServerOptions

    private static let defaultLimit = 20

    mutating func validate() throws {
      if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, found \(limit)") }
      if all, limit != nil { throw ValidationError("--all and --limit exclude each other") }
      let criteria = try filter.criteria(at: .now)
      if pattern != nil, criteria.pattern != nil { throw ValidationError("--pattern and --filter pattern=… exclude each other") }
      if status != nil, criteria.status != nil { throw ValidationError("--status and --filter status=… exclude each other") }
    }

    mutating func run() async throws {
      try await ControlPlaneClient.with(server) { [self] client in
        try await LiveView.show(watch) {
          var criteria = try filter.criteria(at: .now)
          criteria.pattern = criteria.pattern ?? pattern
          criteria.status = criteria.status ?? status?.wire
          let list = try await client.executions(criteria, limit: all ? nil : limit ?? Self.defaultLimit)
          if list.executions.isEmpty, server.output == .table { Printer.note("No execution matches.") }
          if list.hasMore, limit == nil, server.output == .table, !watch.watch {
            Printer.note("The newest \(list.executions.count) are shown; --limit N or --all shows more.")
          }
          return try Printer(server.output).text(of: JSON.encode(list), as: ExecutionList.self, ExecutionTables.list)
        }
      }
    }
  }
}

extension Executions {
  /// A status as an argument.
  struct Status: ExpressibleByArgument {
    var wire: ExecutionStatus

    init?(argument: String) {
      guard let wire = ExecutionStatus(rawValue: argument) else { return nil }
      self.wire = wire
    }

    static var allValueStrings: [String] { ExecutionStatus.allCases.map(\.rawValue) }
  }

  /// A priority as an argument.
  struct Priority: ExpressibleByArgument {
    var wire: ExecutionPriority

    init?(argument: String) {
      guard let wire = ExecutionPriority(rawValue: argument) else { return nil }
      self.wire = wire
    }

    static var allValueStrings: [String] { ExecutionPriority.allCases.map(\.rawValue) }
  }
}

/// Reads a duration such as `30s`.
func duration(from text: String) throws -> Duration {
  guard let duration = Duration(text: text), duration > .zero else {
    throw ValidationError("'\(text)' is not a duration: expected one such as 30s, 500ms or 1m30s")
  }
  return duration
}

/// An input that is text, a file or standard input.
enum InputText {
  static func value(of argument: String) throws -> JSONValue {
    do {
      return try JSON.decode(JSONValue.self, from: bytes(of: argument))
    } catch let fault as JSONFault {
      throw CommandFailure(.usage, "--input is not valid JSON: \(fault); write a text in quotes: --input '\"some text\"'")
    }
  }

  static func bytes(of argument: String) throws -> Data {
    switch argument {
    case "-": return FileHandle.standardInput.readDataToEndOfFile()
    case _ where argument.hasPrefix("@"): return try contents(of: String(argument.dropFirst()))
    default: return Data(argument.utf8)
    }
  }

  static func contents(of path: String) throws -> Data {
    do {
      return try Data(contentsOf: URL(filePath: path))
    } catch {
      throw CommandFailure(.usage, "\(path) cannot be read: \(error.localizedDescription)")
    }
  }
}
