import ArgumentParser
import Foundation
import ParallaxAPI

extension Executions {
  /// The command `parallax executions watch`.
  struct Watch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints each change of executions as it comes, one line each, until interrupted.",
      discussion: """
        With the id of an execution: until it ends, with the exit code of its outcome as in `executions wait`. News are best effort: a \
        line tells of lost ones, and `executions list` shows what is.
        """)

    @Argument(help: "The execution's id; without it, all executions that match.")
    var id: String?

    @OptionGroup var filter: ExecutionFilter
    @OptionGroup var server: ServerOptions

    mutating func validate() throws {
      let criteria = try filter.criteria(at: .now)
      if id != nil, !filter.texts.isEmpty { throw ValidationError("an id and --filter exclude each other") }
      guard criteria.since == nil, criteria.until == nil else {
        throw ValidationError("changes are printed as they come, so that --filter since and until select nothing")
      }
    }

    mutating func run() async throws {
      let printer = Printer(server.output)
      try await ControlPlaneClient.with(server) { [id, filter] client in
        if let id { return try await client.wait(for: id) { try printer.show(change: ExecutionNews($0)) }.checkOutcome() }
        let criteria = try filter.criteria(at: .now)
        var isBehindFirst = false
        try await client.events(channels: "execution") { event in
          // What came before the first news is not missed.
          if event.name == "gap", isBehindFirst { Printer.note("Some changes were lost.") }
          isBehindFirst = isBehindFirst || event.name != "hello"
          if event.name == "execution", let news = ExecutionNews(event), criteria.admits(pattern: news.pattern, status: news.status) {
            try printer.show(change: news)
          }
          return true
        }
      }
    }
  }

  /// The command `parallax executions wait`.
  struct Wait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Waits until executions have ended, and prints them; exit code 1 unless all have completed.")

    @Argument(help: "The executions' ids.")
    var ids: [String]

    @Option(help: "How long to wait at most, for instance 5m. Default: without end.", transform: duration(from:))
    var timeout: Duration?

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let ended = try await ControlPlaneClient.with(server) { [ids, timeout] client in
        let end = timeout.map { ContinuousClock.now + $0 }
        var ended: [ExecutionDocument] = []
        for id in ids { ended.append(try await client.wait(for: id, until: end) { _ in }) }
        return ended
      }
      let printer = Printer(server.output)
      if let only = ended.first, ended.count == 1 {
        try printer.show(JSON.encode(only), as: ExecutionDocument.self, ExecutionTables.details)
      } else {
        try printer.show(JSON.encode(ended), as: [ExecutionDocument].self) { [ExecutionTables.rows($0)] }
      }
      for execution in ended { try execution.checkOutcome() }
    }
  }
}

/// A change of an execution, as one line.
struct ExecutionNews: Codable, Equatable {
  var timestamp: Timestamp
  var executionId: String
  var pattern: String
  var status: ExecutionStatus
  var nodeId: String

  /// The state of an execution as news.
  init(_ execution: ExecutionDocument) {
    timestamp = execution.completedAt ?? execution.startedAt ?? execution.createdAt
    executionId = execution.executionId
    pattern = execution.pattern.name
    status = execution.status
    nodeId = execution.nodeId
  }

  /// An event of the channel `execution`; nil for one that tells of no status.
  init?(_ event: EventStreamParser.Event) {
    struct Event: Decodable {
      struct Details: Decodable { var pattern: String? }
      var id: String
      var type: String
      var timestamp: Timestamp
      var nodeId: String
      var details: Details?
    }
    guard let event = try? JSON.decode(Event.self, from: Data(event.data.utf8)), let status = ExecutionStatus(rawValue: event.type) else {
      return nil
    }
    timestamp = event.timestamp
    executionId = event.id
    pattern = event.details?.pattern ?? "-"
    self.status = status
    nodeId = event.nodeId
  }
}

extension Printer {
  /// Prints a change at once: as a row, or as JSON on one line.
  func show(change: ExecutionNews) throws {
    switch format {
    case .json: print(try JSON.text(change))
    case .table:
      let row = Table(rows: [
        [
          "\(change.timestamp)", "\(change.executionId)", ExecutionTables.status(change.status), "\(change.pattern)", "\(change.nodeId)",
        ]
      ])
      print(text(of: [row]))
    }
    fflush(nil)
  }
}

extension ControlPlaneClient {
  /// The time between two looks at an execution; short at first, for those that end soon.
  private static let pauses: [Duration] = [.milliseconds(100), .milliseconds(200), .milliseconds(400), .seconds(1)]

  /// Waits until an execution has ended, also while no node answers, and hands each state that differs from the last to `change`.
  ///
  /// After `end`, unless it is nil, and for an unknown execution it throws a ``CommandFailure`` of `.failed`.
  func wait(
    for id: String, until end: ContinuousClock.Instant? = nil, change: (ExecutionDocument) throws -> Void
  ) async throws -> ExecutionDocument {
    var last: ExecutionDocument?
    var count = 0
    while true {
      var problem = ""
      do {
        let execution: ExecutionDocument = try Printer.decode(try await get("/api/executions/\(id.pathSegment)"))
        if execution.status != last?.status || execution.nodeId != last?.nodeId { try change(execution) }
        if execution.status.isTerminal { return execution }
        last = execution
      } catch let failure as CommandFailure where failure.exitCode == .unreachable && last != nil {
        problem = "; " + failure.message
      }
      let pause = Self.pauses[min(count, Self.pauses.count - 1)]
      if let end, ContinuousClock.now + pause > end {
        throw CommandFailure(.failed, "\(id) has not ended in time: it is \(last?.status.rawValue ?? "unknown")\(problem)")
      }
      try await ContinuousClock().sleep(for: pause)
      count += 1
    }
  }
}

extension ExecutionDocument {
  /// Throws the exit code of an execution that has ended otherwise than completed.
  func checkOutcome() throws {
    guard status.isTerminal, status != .completed else { return }
    let reason = error.map { ": \($0.message) (\($0.code))" } ?? ""
    throw CommandFailure(.failed, "\(executionId) \(status.rawValue)\(reason)")
  }
}
