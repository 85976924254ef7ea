import ParallaxAPI
import Testing

@testable import parallax

@Suite struct DoctorReportTests {
  private static func finding(_ id: String, _ status: DiagnosisStatus, _ summary: String = "so it is") -> DiagnosisFinding {
    DiagnosisFinding(
      id: id, status: status, summary: summary, cause: status < .warn ? nil : "a cause", remedy: status < .warn ? nil : "a remedy",
      page: "page.md#\(id)")
  }

  private static func node(
    _ findings: DiagnosisFinding..., server: String? = "http://a", id: String = "node-1", incarnation: String? = "1"
  ) -> DoctorReport.Node {
    DoctorReport.Node(
      server: server,
      DiagnosisDocument(
        nodeId: id, incarnation: incarnation, clusterId: "production", version: "1.2.3", at: Timestamp(milliseconds: 0),
        duration: .milliseconds(12), checks: findings))
  }

  private static let plain = Printer(.table, terminal: Terminal(isColored: false))

  private func exitCode(_ nodes: DoctorReport.Node..., failOn threshold: Doctor.Threshold = .warn) -> CommandFailure.Code? {
    do {
      try DoctorReport(nodes: nodes).check(threshold)
      return nil
    } catch {
      return (error as? CommandFailure)?.exitCode
    }
  }

  @Test func `a finding has its cause, its remedy and its page below it`() {
    let report = DoctorReport(nodes: [Self.node(Self.finding("redis.role", .ok), Self.finding("redis.memory", .warn))])
    let text = report.text(Self.plain, isQuiet: false)
    #expect(text.hasPrefix("http://a: node-1, cluster production, version 1.2.3\n\n"))
    #expect(text.contains("OK    redis.role             so it is\nWARN  redis.memory           so it is\n      why   a cause\n"))
    #expect(text.contains("      mend  a remedy\n      page  page.md#redis.memory\n"))
    #expect(text.hasSuffix("\n3 checks: 0 fail, 1 warn, 2 ok, 0 skip"))
    let quiet = report.text(Self.plain, isQuiet: true)
    #expect(!quiet.contains("redis.role") && quiet.contains("redis.memory"))
  }

  @Test func `a node's words do not control the terminal`() {
    let report = DoctorReport(nodes: [Self.node(Self.finding("redis.role", .fail, "\u{1b}c"), id: "evil\u{1b}[2J")])
    #expect(!report.text(Self.plain, isQuiet: false).contains("\u{1b}"))
  }

  @Test func `the exit code tells the worst finding`() {
    let (good, odd, bad) = (Self.finding("a", .ok), Self.finding("b", .warn), Self.finding("c", .fail))
    #expect(exitCode(Self.node(good, Self.finding("d", .skip))) == nil)
    #expect(exitCode(Self.node(good, odd)) == .warned)
    #expect(exitCode(Self.node(odd, bad)) == .failed)
    #expect(exitCode(Self.node(odd), failOn: .fail) == nil)
    #expect(exitCode(Self.node(bad), failOn: .fail) == .failed)
    let silent = DoctorReport.Node(server: "http://b", failure: CommandFailure(.unreachable, "no answer in time"))
    #expect(exitCode(silent) == .unreachable)
    #expect(exitCode(silent, Self.node(good)) == .failed)
    #expect(exitCode(DoctorReport.Node(server: "http://b", failure: CommandFailure(.failed, "UNAUTHORIZED"))) == .failed)
  }

  @Test func `two processes with one id are twins, and one asked twice is not`() {
    let twins = DoctorReport(nodes: [Self.node(server: "http://a"), Self.node(server: "http://b", incarnation: "2")])
    #expect(twins.status == .fail)
    #expect(twins.nodes.allSatisfy { $0.checks.last?.id == "node.twin" && $0.status == .fail })
    #expect(DoctorReport(nodes: [Self.node(server: "http://a"), Self.node(server: "http://b")]).status == .ok)
  }
}
