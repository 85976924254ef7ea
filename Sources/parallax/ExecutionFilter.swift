import ArgumentParser
import Foundation
import ParallaxAPI

/// Which executions a command is about, by `--filter KEY=VALUE`.
struct ExecutionFilter: ParsableArguments {
  @Option(
    name: .customLong("filter"),
    help: ArgumentHelp(
      "Only executions with this: pattern=NAME, status=STATUS, since=INSTANT or until=INSTANT, where an instant is as in 2026-01-15T10:30:00Z or as long ago as in 2h; repeat it, or separate several by commas.",
      valueName: "key=value"))
  var texts: [String] = []

  /// What the options say.
  struct Criteria: Equatable {
    var pattern: String?
    var status: ExecutionStatus?
    var since: Timestamp?
    var until: Timestamp?

    /// The parameters of a listing.
    var query: [(String, String?)] {
      [("pattern", pattern), ("status", status?.rawValue), ("since", since?.description), ("until", until?.description)]
    }

    func admits(pattern name: String, status: ExecutionStatus) -> Bool {
      (pattern.map { $0 == name } ?? true) && (self.status.map { $0 == status } ?? true)
    }
  }

  func validate() throws { _ = try criteria(at: .now) }

  /// Reads the options; `now` is what ages count from.
  func criteria(at now: Timestamp) throws -> Criteria {
    var criteria = Criteria()
    var known: Set<String> = []
    for text in texts.flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false) }) {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[1].isEmpty else { throw Self.fault(text, "expected KEY=VALUE") }
      guard known.insert(parts[0]).inserted else { throw Self.fault(text, "\(parts[0]) is given twice") }
      switch parts[0] {
      case "pattern": criteria.pattern = parts[1]
      case "status":
        guard let status = ExecutionStatus(rawValue: parts[1]) else {
          throw Self.fault(text, "expected one of \(ExecutionStatus.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        criteria.status = status
      case "since": criteria.since = try Self.instant(parts[1], at: now, text)
      case "until": criteria.until = try Self.instant(parts[1], at: now, text)
      default: throw Self.fault(text, "the known keys are pattern, status, since and until")
      }
    }
    return criteria
  }

  private static func instant(_ value: String, at now: Timestamp, _ text: Substring) throws -> Timestamp {
    if let instant = Timestamp(value) { return instant }
    guard let age = Duration(text: value) else {
      throw fault(text, "expected an ISO 8601 instant such as 2026-01-15T10:30:00Z, or an age such as 2h")
    }
    return Timestamp(milliseconds: now.milliseconds - age.wholeMilliseconds)
  }

  private static func fault(_ text: Substring, _ problem: String) -> ValidationError {
    ValidationError("--filter '\(text)': \(problem)")
  }
}

extension ControlPlaneClient {
  /// The number of executions that a node lists at once.
  private static let page = 100

  /// The newest executions that match, page by page: at most `limit`, or all if it is nil.
  func executions(_ criteria: ExecutionFilter.Criteria, limit: Int?) async throws -> ExecutionList {
    var found: ExecutionList?
    while true {
      let left = limit.map { $0 - (found?.executions.count ?? 0) } ?? Self.page
      let query = criteria.query + [("limit", "\(min(left, Self.page))"), ("cursor", found?.nextCursor)]
      let next: ExecutionList = try Printer.decode(try await get("/api/executions", query: query))
      var list = found ?? next
      if found != nil {
        list.executions += next.executions
        (list.hasMore, list.nextCursor) = (next.hasMore, next.nextCursor)
      }
      guard list.hasMore, list.nextCursor != nil, limit.map({ list.executions.count < $0 }) ?? true else { return list }
      found = list
    }
  }
}
