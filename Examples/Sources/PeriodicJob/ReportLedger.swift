import CustomElectionStore
import Foundation
import ParallaxHA

/// The reports that were written, in a file that refuses a leader that is none any more.
///
/// The token is compared and kept in the same step as the report, under the file's lock: a process that was paused after it had made sure
/// that it leads is refused, if another one has written since.
struct ReportLedger: Sendable {
  private struct Contents: Codable {
    var fencingToken: FencingToken?
    var reports: [String: String] = [:]
  }

  private let file: LockedFile

  init(path: String) {
    file = LockedFile(path: path)
  }

  /// Writes the report of a day, unless there is one.
  ///
  /// - Returns: Whether it was written now.
  func write(_ report: String, of day: String, fencedBy token: FencingToken) async throws -> Bool {
    try await file.update { data in
      var contents = try data.map { try JSONDecoder().decode(Contents.self, from: $0) } ?? Contents()
      let guarded = FencingGuard(accepted: contents.fencingToken)
      let isNew = try guarded.perform(with: token) {
        defer { contents.reports[day] = contents.reports[day] ?? report }
        return contents.reports[day] == nil
      }
      contents.fencingToken = guarded.accepted
      return (try JSONEncoder().encode(contents), isNew)
    }
  }
}
