import ArgumentParser
import ParallaxAPI
import Testing

@testable import parallax

@Suite struct CommandLineOutput {
  @Test func `columns are as wide as their widest value`() {
    let table = Table("ID", "STATUS", rows: [["exec_1", "completed"], ["exec_10", "failed"]])
    #expect(table.lines(colored: false) == ["ID       STATUS", "exec_1   completed", "exec_10  failed"])
  }

  @Test func `color does not move columns`() {
    let table = Table(rows: [[Table.Cell("ok", style: .good), "x"], [Table.Cell("failed", style: .bad), "y"]])
    let withoutColor = table.lines(colored: true).map { $0.replacing(/\u{1b}\[[0-9;]*m/, with: "") }
    #expect(withoutColor == table.lines(colored: false))
    #expect(table.lines(colored: true)[0] == "\u{1b}[32mok\u{1b}[0m      x")
  }

  @Test func `control characters from a node do not reach the terminal`() {
    #expect(Table(rows: [["evil\u{1b}[2J\u{7}"]]).lines(colored: true) == ["evil\u{fffd}[2J\u{fffd}"])
    #expect(CommandFailure(.failed, "no\tagent\u{1b}c").message == "no\u{fffd}agent\u{fffd}c")
  }

  @Test(arguments: [
    (true, [:], true), (false, [:], false), (true, ["NO_COLOR": "1"], false), (true, ["NO_COLOR": ""], true),
    (true, ["TERM": "dumb"], false),
  ])
  func `color is for terminals that may have it`(isTerminal: Bool, environment: [String: String], colored: Bool) {
    #expect(Terminal.isColored(isTerminal: isTerminal, environment: environment) == colored)
  }

  @Test func `durations are read with units`() throws {
    #expect(try duration(from: "1m30s") == .seconds(90))
    #expect(throws: (any Error).self) { try duration(from: "90") }
    #expect(throws: (any Error).self) { try duration(from: "0s") }
  }

  @Test func `flags win over the environment, and several servers are tried in order`() throws {
    let environment = ["PARALLAX_SERVER": "d, e", "PARALLAX_API_KEY": "k"]
    #expect(try ServerOptions.addresses(["a:1,https://b/", "c"], environment: environment) == ["http://a:1", "https://b", "http://c"])
    #expect(try ServerOptions.addresses([], environment: environment) == ["http://d", "http://e"])
    #expect(try ServerOptions.addresses([], environment: [:]) == ["http://127.0.0.1:8080"])
    #expect(throws: CommandFailure.self) { try ServerOptions.addresses(["ftp://a"], environment: [:]) }
    #expect(ServerOptions.key("given", environment: environment) == "given")
    #expect(ServerOptions.key(nil, environment: environment) == "k")
    #expect(ServerOptions.key(nil, environment: ["PARALLAX_API_KEY": ""]) == nil)
  }

  @Test func `a name with a slash stays one segment of the path`() {
    #expect("a/b c".pathSegment == "a%2Fb%20c")
  }
}

extension CommandLineOutput {
  @Test func `a table is cut into the terminal, from the widest column and never in the first`() {
    let table = Table("ID", "PATTERN", "NODE", rows: [["exec_0123456789", "a-pattern-with-a-name", "node-with-a-name"]])
    #expect(table.lines(colored: false, width: 80) == table.lines(colored: false))
    #expect(
      table.lines(colored: false, width: 45) == [
        "ID               PATTERN        NODE", "exec_0123456789  a-pattern-wi…  node-with-a-…",
      ])
    #expect(table.lines(colored: false, width: 10)[1] == "exec_0123456789  a-patte…  node-wi…", "columns stay readable")
    #expect(Table(rows: [["a", "b", ""], ["c", "", ""]]).lines(colored: false) == ["a  b", "c"], "no white space at the ends")
  }

  @Test func `a view is drawn over the former one, as high as the terminal`() {
    #expect(LiveView.frame("a\nb\nc", rows: 3) == "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n\u{1b}[J")
    #expect(LiveView.frame("a", rows: nil) == "\u{1b}[Ha\u{1b}[K\n\u{1b}[J")
  }

  @Test(arguments: [
    (0, "0ms"), (2, "2ms"), (999, "999ms"), (1_000, "1.0s"), (5_001, "5.0s"), (59_999, "59.9s"), (90_500, "1m30s"), (-5, "0ms"),
  ])
  func `durations have one form at each size`(milliseconds: Int64, text: String) {
    #expect(Duration.milliseconds(milliseconds).shortText == text)
  }

  @Test func `options of the server may stand in front of the command`() {
    func reordered(_ arguments: String...) -> [String] { GlobalArguments.reordered(arguments) }
    #expect(reordered("--server", "a", "agents", "list", "--output", "json") == ["agents", "list", "--server", "a", "--output", "json"])
    #expect(reordered("--server=a", "--api-key", "k", "ha", "status") == ["ha", "status", "--server=a", "--api-key", "k"])
    #expect(reordered("executions", "get", "x") == ["executions", "get", "x"])
    #expect(reordered("--version") == ["--version"])
    #expect(reordered("--server") == ["--server"], "the parser says what is missing")
  }

  @Test func `events are read from pieces of any size`() {
    let stream =
      "retry: 2000\n\n:\nevent: execution\nid: a-1\ndata: {\"x\":\ndata: 1}\n\nevent: gap\r\nid: a-2\r\ndata: {}\r\n\r\ndata: cut"
    for size in [1, 3, 1_000] {
      var parser = EventStreamParser()
      var events: [EventStreamParser.Event] = []
      var rest = Array(stream.utf8)[...]
      while !rest.isEmpty {
        events += parser.read(rest.prefix(size))
        rest = rest.dropFirst(size)
      }
      #expect(events == [.init(name: "execution", data: "{\"x\":\n1}"), .init(name: "gap", data: "{}")])
      #expect(parser.lastID == "a-2")
      parser.end()
      #expect(parser.read("\n\n".utf8).isEmpty, "a part of an event does not outlive its stream")
    }
  }

  @Test func `a filter selects by pattern, status and time`() throws {
    func criteria(_ texts: String...) throws -> ExecutionFilter.Criteria {
      var filter = ExecutionFilter()
      filter.texts = texts
      return try filter.criteria(at: Timestamp(milliseconds: 10_000_000))
    }
    let all = try criteria("status=failed,pattern=a", "since=1h", "until=1970-01-01T02:00:00Z")
    #expect(all.pattern == "a" && all.status == .failed)
    #expect(all.since?.milliseconds == 6_400_000 && all.until?.milliseconds == 7_200_000)
    #expect(
      all.admits(pattern: "a", status: .failed) && !all.admits(pattern: "b", status: .failed) && !all.admits(pattern: "a", status: .pending)
    )
    #expect(try criteria().query.allSatisfy { $0.1 == nil })
    for (text, problem) in [
      ("failed", "KEY=VALUE"), ("status=", "KEY=VALUE"), ("status=odd", "timed_out"), ("node=a", "known keys"), ("since=soon", "2h"),
      ("pattern=a,pattern=b", "twice"),
    ] {
      let error = #expect(throws: ValidationError.self) { try criteria(text) }
      #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }
  }

  @Test func `several mistakes are one line`() {
    #expect(CommandFailure(.failed, "a:1: wrong\na:2: wrong too").message == "a:1: wrong; a:2: wrong too")
  }

  @Test func `a step-down is foreseen`() {
    func status(_ members: (String, HAMemberStatus)..., leader: String? = "a", paused: Bool = false) -> HAStatusDocument {
      HAStatusDocument(
        clusterId: "c", leader: leader, term: 5, paused: paused,
        members: members.map { id, status in
          HAStatusDocument.Member(
            id: id, address: "x", role: id == leader ? .leader : .standby, status: status, lastHeartbeat: Timestamp(milliseconds: 0))
        })
    }
    let cluster = status(("a", .healthy), ("b", .healthy), ("c", .unhealthy), ("d", .healthy))
    #expect(StepDownPreview(cluster, to: nil).candidates == ["b", "d"] && StepDownPreview(cluster, to: nil).obstacle == nil)
    #expect(StepDownPreview(cluster, to: "d").candidates == ["d"])
    #expect(StepDownPreview(cluster, to: "c").obstacle == "c is no healthy member")
    #expect(StepDownPreview(cluster, to: "a").obstacle == "a leads already")
    #expect(StepDownPreview(status(("a", .healthy)), to: nil).obstacle == "no other member is healthy")
    #expect(StepDownPreview(status(("b", .healthy), leader: nil), to: nil).obstacle?.contains("no leader") == true)
    #expect(StepDownPreview(status(("a", .healthy), ("b", .healthy), paused: true), to: nil).obstacle?.contains("resume") == true)
  }
}
