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

    @Flag(help: "Show the status again every second, until interrupted.")
    var watch = false

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      guard watch else { return try await Self.show(server).check() }
      let isTerminal = isatty(STDOUT_FILENO) == 1
      try await Self.repeated(every: .seconds(1), clock: ContinuousClock()) {
        if isTerminal { print("\u{1b}[H\u{1b}[2J", terminator: "") }
        do {
          _ = try await Self.show(server)
        } catch let failure as CommandFailure where failure.exitCode == .unreachable {
          FileHandle.standardError.write(Data("parallax: \(failure.message)\n".utf8))
        }
        if !isTerminal { print() }
        fflush(nil)
      }
    }

    /// Does something again and again, with a pause in between, until it throws or the task is cancelled.
    ///
    /// - Parameters:
    ///   - pause: The time between two runs.
    ///   - clock: What the pause is measured by.
    ///   - work: What to do.
    /// - Throws: What the work throws, or `CancellationError`.
    static func repeated<C: Clock>(every pause: C.Duration, clock: C, _ work: () async throws -> Void) async throws {
      while true {
        try await work()
        try await clock.sleep(for: pause)
      }
    }

    private static func show(_ server: ServerOptions) async throws -> HAStatusDocument {
      let answer = try await ControlPlaneClient.with(server) { try await $0.get("/ha/status") }
      let status: HAStatusDocument = try Printer.decode(answer)
      switch server.output {
      case .json: try Printer(server.output).show(answer, as: HAStatusDocument.self) { _ in [] }
      case .table: print(status.table)
      }
      return status
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
