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

    @Flag(help: "Show who leads and who could take over, and do nothing; exit code 3 if nobody could.")
    var dryRun = false

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      if dryRun {
        let status = try await ControlPlaneClient.with(server) { try await $0.haStatus() }
        return try StepDownPreview(status, to: successor).show(Printer(server.output))
      }
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

/// What a request to step down would find.
struct StepDownPreview: Codable, Equatable {
  var leader: String?
  var term: Int64?
  /// The healthy members that could take over, or the one that is asked for.
  var candidates: [String]
  /// The reason that nobody would take over; nil if somebody could.
  var obstacle: String?

  init(_ status: HAStatusDocument, to successor: String?) {
    leader = status.leader
    term = status.term
    let healthy = status.members.filter { $0.status == .healthy && $0.id != status.leader }.map(\.id)
    candidates = successor.map { wanted in healthy.filter { $0 == wanted } } ?? healthy
    obstacle =
      if status.stale {
        "the store does not answer, so that the state of the cluster is unknown"
      } else if status.leader == nil {
        "the cluster \(status.clusterId) has no leader to step down"
      } else if status.paused {
        "elections are paused, so that nobody takes over until: parallax ha resume"
      } else if let successor, candidates.isEmpty {
        successor == status.leader ? "\(successor) leads already" : "\(successor) is no healthy member"
      } else if candidates.isEmpty {
        "no other member is healthy"
      } else {
        nil
      }
  }

  func show(_ printer: Printer) throws {
    try printer.show(JSON.encode(self), as: StepDownPreview.self) { _ in
      guard obstacle == nil, let leader else { return [] }
      let next = candidates.count == 1 ? candidates[0] : "one of \(candidates.joined(separator: ", "))"
      return [Table(rows: [["\(leader) would step down (term \(term ?? 0)), and \(next) take over. Nothing was done."]])]
    }
    if let obstacle { throw CommandFailure(.noLeader, obstacle) }
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
