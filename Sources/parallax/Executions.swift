import ArgumentParser
import Foundation
import ParallaxAPI

/// The command `parallax executions`.
struct Executions: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs patterns; shows and cancels executions.", subcommands: [Run.self, Get.self, List.self, Cancel.self])

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
      if execution.status.isTerminal, execution.status != .completed {
        let reason = execution.error.map { ": \($0.message) (\($0.code))" } ?? ""
        throw CommandFailure(.failed, "\(execution.executionId) \(execution.status.rawValue)\(reason)")
      }
    }
  }

  /// The command `parallax executions get`.
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one execution.")

    @Argument(help: "The execution's id.")
    var id: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [id] in try await $0.get("/api/executions/\(id.pathSegment)") }
      try Printer(server.output).show(answer, as: ExecutionDocument.self, ExecutionTables.details)
    }
  }

  /// The command `parallax executions list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists executions, newest first.")

    @Option(help: "Only of this pattern.")
    var pattern: String?

    @Option(help: "Only with this status.")
    var status: Status?

    @Option(help: "The number of executions, 1 to 100.")
    var limit = 20

    @OptionGroup var server: ServerOptions

    mutating func validate() throws {
      guard (1...100).contains(limit) else { throw ValidationError("--limit must be from 1 to 100, found \(limit)") }
    }

    mutating func run() async throws {
      let query = [("pattern", pattern), ("status", status?.wire.rawValue), ("limit", "\(limit)")]
      let answer = try await ControlPlaneClient.with(server) { try await $0.get("/api/executions", query: query) }
      try Printer(server.output).show(answer, as: ExecutionList.self, ExecutionTables.list)
    }
  }

  /// The command `parallax executions cancel`.
  struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancels an execution.")

    @Argument(help: "The execution's id.")
    var id: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [id] in
        try await $0.post("/api/executions/\(id.pathSegment)/cancel", body: nil)
      }
      try Printer(server.output).show(answer, as: CancellationDocument.self) {
        [Table(rows: [[Table.Cell($0.executionId), Table.Cell($0.status.rawValue)]])]
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
