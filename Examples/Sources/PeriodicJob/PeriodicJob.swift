import CustomElectionStore
import Foundation
import Logging
import ParallaxHA
import ServiceLifecycle
import UnixSignals

/// A report that one of several processes, the leader, writes once a day.
///
/// Run `swift run PeriodicJob worker-1 /tmp/reports` in two or three terminals, each with an id of its own. The leader checks for today's
/// report every ten seconds, and at the beginning of its term: so a report that was due while no process led is written later.
@main struct PeriodicJob {
  static func main() async throws {
    guard CommandLine.arguments.count == 3 else {
      print("usage: PeriodicJob NODE-ID FOLDER")
      exit(2)
    }
    let (id, folder) = (CommandLine.arguments[1], URL(fileURLWithPath: CommandLine.arguments[2]))
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let ledger = ReportLedger(path: folder.appending(path: "reports.json").path)
    let election = LeaderElection(
      store: FileElectionStore(path: folder.appending(path: "leader.json").path), nodeID: id,
      configuration: ElectionConfiguration(timings: try ElectionTimings(leaseDuration: .seconds(3))))
    let duties = LeaderDuties([
      LeaderDuty("daily report", every: .seconds(10)) { token in
        let day = Date.now.formatted(.iso8601.year().month().day())
        if try await ledger.write("written by \(id)", of: day, fencedBy: token) {
          print("\(id): wrote the report of \(day), term \(token.term)")
        }
      }
    ])
    let group = ServiceGroup(
      services: [Campaign(election: election, duties: duties)], gracefulShutdownSignals: [.sigint, .sigterm],
      logger: Logger(label: "periodic-job"))
    try await group.run()
  }
}

/// Runs the duties while this process leads.
private struct Campaign<Store: ElectionStore>: Service {
  let election: LeaderElection<Store, ContinuousClock>
  let duties: LeaderDuties<ContinuousClock>

  func run() async throws {
    try await election.campaign { token in await duties.run(token) }
  }
}
