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
    #expect(CommandFailure(.failed, "no\nagent\u{1b}c").message == "no\u{fffd}agent\u{fffd}c")
  }

  @Test(arguments: [
    (true, [:], true), (false, [:], false), (true, ["NO_COLOR": "1"], false), (true, ["NO_COLOR": ""], true),
    (true, ["TERM": "dumb"], false),
  ])
  func `color is for terminals that may have it`(isTerminal: Bool, environment: [String: String], colored: Bool) {
    #expect(Printer(.table, isTerminal: isTerminal, environment: environment).colored == colored)
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
