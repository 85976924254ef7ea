import ArgumentParser
import Foundation
import ParallaxAPI

extension HA {
  /// The command `parallax ha stepdown`.
  struct StepDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "stepdown", abstract: "Asks the leader to hand over; exit code 3 without a leader before or after.")

    @Option(name: .customLong("to"), help: ArgumentHelp("The node that is to lead next.", valueName: "node"))
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
      abstract: "Asks the cluster to elect a leader now; exit code 3 without a leader afterwards.",
      discussion: """
        Without --force, an election that is due comes at once; a leader that holds its lease stays. With --force the present leader \
        stops and is kept out for a while, and a pause ends. Two nodes never lead at once: a leader that does not answer keeps its lease \
        until it ends.
        """)

    @Flag(help: "Replace the present leader, and end a pause.")
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
  /// The cluster's status; its term goes into a request, so that a repeat at another node does not end a second term.
  fileprivate func haStatus() async throws -> HAStatusDocument {
    try Printer.decode(try await get("/ha/status"))
  }
}

/// Asks for a handover, waits for it and says who leads.
private func handOver(_ path: String, _ body: Data, _ server: ServerOptions) async throws {
  let answer = try await ControlPlaneClient.with(server) { client in
    // As long as a hung leader's lease may last, and the election after it.
    try await client.post(path, body: body, timeout: .seconds(120))
  }
  let handover: HandoverDocument = try Printer.decode(answer)
  try Printer(server.output).show(answer, as: HandoverDocument.self) { [Table(rows: [["\($0.sentence)"]])] }
  guard handover.new != nil else { throw CommandFailure(.noLeader, "nobody took over within \(handover.milliseconds) ms") }
}

extension HandoverDocument {
  /// What happened, for people.
  var sentence: String {
    switch (old, new) {
    case (let old, let new?) where old == new: "\(new) leads (term \(term), \(milliseconds) ms)"
    case (let old?, let new?): "\(old) handed over to \(new) (term \(term), \(milliseconds) ms)"
    case (nil, let new?): "\(new) leads (term \(term), \(milliseconds) ms)"
    case (let old?, nil): "\(old) stepped down; nobody leads yet"
    case (nil, nil): "nobody leads yet"
    }
  }
}
