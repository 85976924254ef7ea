import ArgumentParser
import Foundation
import ParallaxAPI

/// The command `parallax ha`.
struct HA: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ha", abstract: "Shows the cluster and moves its leadership.",
    subcommands: [Status.self, StepDown.self, Elect.self, Pause.self, Resume.self])

  /// The command `parallax ha status`.
  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows the members and the leader; exit code 3 without a leader, 1 with several.")

    @OptionGroup var watch: WatchOptions
    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let status = try await ControlPlaneClient.with(server) { [watch, server] client in
        var last: HAStatusDocument?
        try await LiveView.show(watch) {
          let answer = try await client.get("/ha/status")
          let status: HAStatusDocument = try Printer.decode(answer)
          last = status
          return switch server.output {
          case .json: try Printer(.json).text(of: answer, as: HAStatusDocument.self) { _ in [] }
          case .table: status.table
          }
        }
        return last
      }
      try status?.check()
    }
  }

  /// The command `parallax ha pause`.
  struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Suspends elections: the leader stays, and gets no successor if it fails.")

    @OptionGroup var server: ServerOptions

    mutating func run() async throws { try await setPause("pause", server) }
  }

  /// The command `parallax ha resume`.
  struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Ends a pause of elections.")

    @OptionGroup var server: ServerOptions

    mutating func run() async throws { try await setPause("resume", server) }
  }
}

extension HAStatusDocument {
  /// Throws the exit code of a cluster without exactly one leader.
  func check() throws {
    switch leaders.count {
    case 0: throw CommandFailure(.noLeader, "the cluster \(clusterId) has no leader")
    case 1: return
    default: throw CommandFailure(.failed, "several nodes hold valid claims to lead: \(leaders.joined(separator: ", "))")
    }
  }
}

private func setPause(_ action: String, _ server: ServerOptions) async throws {
  let answer = try await ControlPlaneClient.with(server) { try await $0.post("/ha/\(action)", body: nil) }
  try Printer(server.output).show(answer, as: PauseDocument.self) {
    [Table(rows: [[$0.paused ? "Elections are paused; resume them with: parallax ha resume" : "Elections are enabled."]])]
  }
}
