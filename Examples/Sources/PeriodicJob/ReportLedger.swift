import CustomElectionStore
import Foundation
import ParallaxHA

/// The written reports, in a file that refuses a deposed leader.
///
/// The token is compared and stored in the same step as the report, under the file's lock: the ledger refuses a process that was paused
/// after it had checked that it leads, if another process has written since.
struct ReportLedger: Sendable {
  private struct Contents: Codable {
    var fencingToken: FencingToken?
    var reports: [String: String] = [:]
  }

  private let file: LockedFile

  init(path: String) {
    file = LockedFile(path: path)
  }

  /// Writes the report of a day, unless it exists.
  ///
  /// - Returns: Whether this call wrote it.
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
