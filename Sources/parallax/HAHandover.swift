import ArgumentParser
import Foundation
import ParallaxAPI

extension HA {
  /// The command `parallax ha stepdown`.
  struct StepDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "stepdown", abstract: "Asks the leader to hand over; exit code 3 without a leader before or after.")

    @Option(name: .customLong("to"), help: ArgumentHelp("The next leader.", valueName: "node"))
    var successor: String?

    @Option(help: "The reason, for the nodes' logs.")
    var reason: String?

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let request = try await ControlPlaneClient.with(server) { [successor, reason] client in
        let status = try await client.haStatus()
        guard status.leader != nil else { throw CommandFailure(.noLeader, "the cluster \(status.clusterId) has no leader to step down") }
        return StepDownRequest(to: successor, reason: reason, term: status.term)
      }
      try await handOver("/ha/stepdown", JSON.encode(request), server)
    }
  }

  /// The command `parallax ha elect`.
  struct Elect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Asks the cluster to elect a leader now; exit code 3 without a leader afterward.",
      discussion: """
        Without --force, a pending election takes place at once, and a leader with a valid lease stays. With --force, the current leader \
        steps down and lets the others go first for a while, and a pause ends. Two nodes never lead at once: a leader that does not answer keeps its lease \
        until it ends.
        """)

    @Flag(help: "Replace the current leader, and end a pause.")
    var force = false

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let request = try await ControlPlaneClient.with(server) { [force] client in
        ElectRequest(force: force, term: force ? try await client.haStatus().term : nil)
      }
      try await handOver("/ha/elect", JSON.encode(request), server)
    }
  }
}

extension ControlPlaneClient {
  /// The cluster's status; a request names its term, so that a repeat at another node does not end a second term.
  fileprivate func haStatus() async throws -> HAStatusDocument {
    try Printer.decode(try await get("/ha/status"))
  }
}

/// Requests a handover, waits for it and prints the leader.
private func handOver(_ path: String, _ body: Data, _ server: ServerOptions) async throws {
  let answer = try await ControlPlaneClient.with(server) { client in
    // The lease of a leader that does not answer, and the election after it, can take this long.
    try await client.post(path, body: body, timeout: .seconds(120))
  }
  let handover: HandoverDocument = try Printer.decode(answer)
  try Printer(server.output).show(answer, as: HandoverDocument.self) { [Table(rows: [["\($0.sentence)"]])] }
  guard handover.new != nil else { throw CommandFailure(.noLeader, "no node took over within \(handover.milliseconds) ms") }
}

extension HandoverDocument {
  /// The handover as a sentence.
  var sentence: String {
    switch (old, new) {
    case (let old, let new?) where old == new: "\(new) leads (term \(term), \(milliseconds) ms)"
    case (let old?, let new?): "\(old) handed over to \(new) (term \(term), \(milliseconds) ms)"
    case (nil, let new?): "\(new) leads (term \(term), \(milliseconds) ms)"
    case (let old?, nil): "\(old) stepped down; no node leads yet"
    case (nil, nil): "no node leads yet"
    }
  }
}
