import ArgumentParser
import Foundation
import ParallaxAPI

/// The executions that a command changes: those named, or those that match a filter.
struct ExecutionSelection: ParsableArguments {
  @Argument(help: "The executions' ids; or --filter.")
  var ids: [String] = []

  @OptionGroup var filter: ExecutionFilter

  @Flag(help: "Show what would be done, and do nothing.")
  var dryRun = false

  @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do not ask before a change of all executions that match.")
  var isConfirmed = false

  func validate() throws {
    guard ids.isEmpty != filter.texts.isEmpty else {
      throw ValidationError("expected either ids of executions, or --filter, which selects all that match")
    }
  }

  /// The ids, after a question to the user if a filter selects them; `action` can be done in `statuses`.
  ///
  /// Without anybody to ask it throws a ``CommandFailure`` of `.usage`.
  func confirmed(_ action: String, in statuses: [ExecutionStatus], _ client: ControlPlaneClient) async throws -> [String] {
    guard ids.isEmpty else { return ids }
    var criteria = try filter.criteria(at: .now)
    if let status = criteria.status, !statuses.contains(status) {
      throw CommandFailure(
        .usage, "--filter status=\(status.rawValue): expected one of \(statuses.map(\.rawValue).joined(separator: ", ")) to \(action)")
    }
    var found: [ExecutionDocument] = []
    for status in criteria.status.map({ [$0] }) ?? statuses {
      criteria.status = status
      found += try await client.executions(criteria, limit: nil).executions
    }
    guard !found.isEmpty, !isConfirmed, !dryRun else { return found.map(\.executionId) }
    guard isatty(STDIN_FILENO) == 1 else {
      throw CommandFailure(.usage, "\(found.count) executions match; add --yes to \(action) them, or --dry-run to see them")
    }
    FileHandle.standardError.write(Data("\(action.capitalized) \(found.count) executions? [y/N] ".utf8))
    guard ["y", "yes"].contains(readLine()?.lowercased()) else { throw CommandFailure(.failed, "nothing was done") }
    return found.map(\.executionId)
  }
}

/// What a command did to one execution.
struct ExecutionChange: Codable, Sendable {
  var executionId: String
  /// The status of the execution afterward; nil if the change failed.
  var status: String?
  /// The new execution of a retry.
  var newExecutionId: String?
  /// The reason of a failure.
  var error: String?

  /// The number of requests at a time.
  private static let width = 8

  /// Changes all executions, some at a time, and prints what became of each.
  ///
  /// - Throws: ``CommandFailure``, of `.failed` if some could not be changed, or of `.unreachable` if no node answers.
  static func make(
    _ ids: [String], _ printer: Printer, change: @escaping @Sendable (String) async throws -> ExecutionChange
  ) async throws {
    // One that is named twice is not retried twice.
    var known: Set<String> = []
    let ids = ids.filter { known.insert($0).inserted }
    var isOver = false
    let changes = await withTaskGroup(of: (Int, ExecutionChange, hasNode: Bool).self) { group in
      var waiting = ids.enumerated().makeIterator()
      var done: [Int: ExecutionChange] = [:]
      func start() {
        guard !isOver, let (index, id) = waiting.next() else { return }
        group.addTask {
          do {
            return (index, try await change(id), true)
          } catch {
            let failure = error as? CommandFailure
            return (index, ExecutionChange(executionId: id, error: failure?.message ?? "\(error)"), failure?.exitCode == .failed)
          }
        }
      }
      for _ in 0..<width { start() }
      while let (index, change, hasNode) = await group.next() {
        done[index] = change
        // Without a node there is no use in going on; what was done is told all the same.
        isOver = isOver || !hasNode
        start()
      }
      return ids.indices.compactMap { done[$0] }
    }
    try printer.show(JSON.encode(changes), as: [ExecutionChange].self) { [table($0)] }
    if changes.count < ids.count { Printer.note("\(ids.count - changes.count) were not tried.") }
    let failed = changes.filter { $0.error != nil }
    guard let first = failed.first else { return }
    throw CommandFailure(
      isOver ? .unreachable : .failed,
      ids.count == 1 ? first.error ?? "" : "\(failed.count) of \(ids.count) failed, the first: \(first.error ?? "")")
  }

  /// Prints what would be changed.
  static func announce(_ ids: [String], _ printer: Printer) throws {
    try printer.show(JSON.encode(ids.map { ExecutionChange(executionId: $0) }), as: [ExecutionChange].self) { [table($0)] }
    Printer.note("\(ids.count) executions match; nothing was done.")
  }

  private static func table(_ changes: [ExecutionChange]) -> Table {
    Table(
      rows: changes.map { change in
        [
          "\(change.executionId)",
          Table.Cell(change.error ?? change.status ?? "matches", style: change.error == nil ? nil : .bad),
          "\(change.newExecutionId ?? "")",
        ]
      })
  }
}

extension Executions {
  /// The command `parallax executions cancel`.
  struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancels executions, by their ids or by a filter.")

    @OptionGroup var selection: ExecutionSelection
    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      try await ControlPlaneClient.with(server) { [selection, server] client in
        let ids = try await selection.confirmed("cancel", in: ExecutionStatus.allCases.filter { !$0.isTerminal }, client)
        if selection.dryRun { return try ExecutionChange.announce(ids, Printer(server.output)) }
        try await ExecutionChange.make(ids, Printer(server.output)) { id in
          let answer = try await client.post("/api/executions/\(id.pathSegment)/cancel", body: nil)
          let document: CancellationDocument = try Printer.decode(answer)
          return ExecutionChange(executionId: document.executionId, status: document.status.rawValue)
        }
      }
    }
  }

  /// The command `parallax executions retry`.
  struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Runs executions that failed, timed out or were cancelled again, by their ids or by a filter.",
      discussion: "Each becomes a new execution, whose id is printed.")

    @OptionGroup var selection: ExecutionSelection
    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      try await ControlPlaneClient.with(server) { [selection, server] client in
        let ids = try await selection.confirmed("retry", in: [.failed, .timedOut, .cancelled], client)
        if selection.dryRun { return try ExecutionChange.announce(ids, Printer(server.output)) }
        try await ExecutionChange.make(ids, Printer(server.output)) { id in
          let answer = try await client.post("/api/executions/\(id.pathSegment)/retry", body: nil, isRepeatable: false)
          let document: RetryAcceptance = try Printer.decode(answer)
          return ExecutionChange(executionId: id, status: "retried", newExecutionId: document.newExecutionId)
        }
      }
    }
  }
}
