import ArgumentParser
import ParallaxAPI

/// The command `parallax agents`.
struct Agents: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows and disconnects agents.", subcommands: [List.self, Get.self, Disconnect.self])

  /// The command `parallax agents list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists agents.")

    @Option(help: "Only with this status.")
    var status: Status?

    @Option(
      name: .customLong("capability"), help: ArgumentHelp("Only with this capability; repeat it for several.", valueName: "capability"))
    var capabilities: [String] = []

    @OptionGroup var watch: WatchOptions
    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      try await ControlPlaneClient.with(server) { [self] client in
        try await LiveView.show(watch) {
          let list = try await list(client)
          if list.agents.isEmpty, server.output == .table { Printer.note("No agent matches.") }
          return try Printer(server.output).text(of: JSON.encode(list), as: AgentList.self) {
            $0.agents.isEmpty ? [] : [table($0.agents)]
          }
        }
      }
    }

    private func list(_ client: ControlPlaneClient) async throws -> AgentList {
      let query: [(String, String?)] = [
        ("status", status?.wire.rawValue), ("capabilities", capabilities.isEmpty ? nil : capabilities.joined(separator: ",")),
        ("limit", "1000"),
      ]
      var all: AgentList = try Printer.decode(try await client.get("/api/agents", query: query))
      while all.agents.count < all.total {
        let page: AgentList = try Printer.decode(try await client.get("/api/agents", query: query + [("offset", "\(all.agents.count)")]))
        if page.agents.isEmpty { break }
        all.agents += page.agents
      }
      return all
    }

    private func table(_ agents: [AgentDocument]) -> Table {
      let rows = agents.map { agent -> [Table.Cell] in
        [
          "\(agent.id)", "\(agent.name ?? "-")", statusCell(agent.status), "\(agent.capabilities.joined(separator: ","))",
          "\(agent.nodeId)",
          "\(agent.activeTasks)/\(agent.maxConcurrentTasks)", "\(agent.tasksCompleted)",
        ]
      }
      return Table("ID", "NAME", "STATUS", "CAPABILITIES", "NODE", "ACTIVE", "COMPLETED", rows: rows)
    }
  }

  /// The command `parallax agents get`.
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one agent.")

    @Argument(help: "The agent's id.")
    var id: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [id] in try await $0.get("/api/agents/\(id.pathSegment)") }
      try Printer(server.output).show(answer, as: AgentDocument.self) { agent in
        [
          Table(rows: [
            ["Agent", "\(agent.id)"], ["Name", "\(agent.name ?? "-")"], ["Status", statusCell(agent.status)],
            ["Capabilities", "\(agent.capabilities.joined(separator: ", "))"], ["Node", "\(agent.nodeId)"],
            ["Connected", "\(agent.connectedAt)"], ["Heartbeat", "\(agent.lastHeartbeat.map(\.description) ?? "-")"],
            ["Active tasks", "\(agent.activeTasks) of \(agent.maxConcurrentTasks)"], ["Completed tasks", "\(agent.tasksCompleted)"],
          ])
        ]
      }
    }
  }
}

extension Agents {
  /// The command `parallax agents disconnect`.
  struct Disconnect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ends the connection of an agent; exit code 1 if it was not connected.",
      discussion: "The agent gets close code 1000 and is not expected back: its tasks go to others.")

    @Argument(help: "The agent's id.")
    var id: String

    @OptionGroup var server: ServerOptions

    mutating func run() async throws {
      let answer = try await ControlPlaneClient.with(server) { [id] in
        try await $0.post("/api/agents/\(id.pathSegment)/disconnect", body: nil)
      }
      let outcome: AgentDisconnected = try Printer.decode(answer)
      try Printer(server.output).show(answer, as: AgentDisconnected.self) {
        [Table(rows: [["\($0.id)", $0.disconnected ? "disconnected" : "was not connected"]])]
      }
      guard outcome.disconnected else { throw CommandFailure(.failed, "\(id) was not connected") }
    }
  }

  /// A status as an argument.
  struct Status: ExpressibleByArgument {
    var wire: AgentStatus

    init?(argument: String) {
      guard let wire = AgentStatus(rawValue: argument) else { return nil }
      self.wire = wire
    }

    static var allValueStrings: [String] { AgentStatus.allCases.map(\.rawValue) }
  }
}

private func statusCell(_ status: AgentStatus) -> Table.Cell {
  let style: Style =
    switch status {
    case .idle: .good
    case .busy, .draining: .waiting
    case .disconnected: .bad
    }
  return Table.Cell(status.rawValue, style: style)
}
