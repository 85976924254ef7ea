import ParallaxAPI
import ParallaxControlPlane

/// What `parallax doctor --output json` prints: the diagnosis of each node.
struct DoctorReport: Encodable {
  /// The diagnosis of one node, or that it gave none.
  struct Node: Encodable {
    /// The address that was asked; nil without a node (`--offline`).
    var server: String?
    /// The members of `GET /ha/diagnosis`; nil for a node that did not answer.
    var nodeId: String?
    var incarnation: String?
    var clusterId: String?
    var version: String?
    var at: Timestamp?
    var duration: WireDuration?
    var status: DiagnosisStatus
    var checks: [DiagnosisFinding]
    /// Whether the node gave no answer at all.
    var isSilent = false

    private enum CodingKeys: String, CodingKey {
      case server, nodeId, incarnation, clusterId, version, at, duration, status, checks
    }

    init(server: String?, _ document: DiagnosisDocument) {
      self.server = server
      nodeId = document.nodeId
      incarnation = document.incarnation
      clusterId = document.clusterId
      version = document.version
      at = document.at
      duration = document.duration
      let answers = server.map { _ in
        Self.answers(.ok, "it answers, after \(document.duration.duration.wholeMilliseconds) ms of examination")
      }
      checks = (answers.map { [$0] } ?? []) + document.checks
      status = document.status
    }

    init(server: String, failure: CommandFailure) {
      self.server = server
      status = .fail
      isSilent = failure.exitCode == .unreachable
      checks = [
        isSilent
          ? Self.answers(
            .fail, "no node answers at \(server)", cause: failure.message,
            remedy: "start it, or correct --server; without a node, examine its Redis: parallax doctor --offline")
          : Self.answers(
            .fail, "the node refuses to be examined", cause: failure.message, remedy: "set PARALLAX_API_KEY to a key with the scope read")
      ]
    }

    private static func answers(
      _ status: DiagnosisStatus, _ summary: String, cause: String? = nil, remedy: String? = nil
    ) -> DiagnosisFinding {
      let check = DiagnosisCheck.nodeAnswers
      return DiagnosisFinding(id: check.rawValue, status: status, summary: summary, cause: cause, remedy: remedy, page: check.section)
    }

    fileprivate mutating func add(_ finding: DiagnosisFinding) {
      checks.removeAll { $0.id == finding.id }
      checks.append(finding)
      status = max(status, finding.status)
    }
  }

  /// The worst outcome of all nodes.
  var status: DiagnosisStatus
  var nodes: [Node]

  init(nodes: [Node]) {
    var nodes = nodes
    // Two processes with one id do not see each other for long; who asks both does.
    for index in nodes.indices {
      guard let id = nodes[index].nodeId, let own = nodes[index].incarnation,
        let twin = nodes.first(where: { $0.nodeId == id && $0.incarnation != nil && $0.incarnation != own }), let address = twin.server
      else { continue }
      let check = DiagnosisCheck.nodeTwin
      nodes[index].add(
        DiagnosisFinding(
          id: check.rawValue, status: .fail, summary: "the process at \(address) has the id \(id) too",
          cause: "two processes have the same node id", remedy: "give each node an id of its own: node.id or PARALLAX_NODE_ID",
          page: check.section))
    }
    self.nodes = nodes
    status = nodes.map(\.status).max() ?? .skip
  }

  private enum CodingKeys: String, CodingKey {
    case status, nodes
  }

  // MARK: Text

  /// The report for people: a line per check, and cause, remedy and page of each that does not pass.
  func text(_ printer: Printer, isQuiet: Bool) -> String {
    nodes.map { $0.lines(printer, isQuiet: isQuiet).joined(separator: "\n") }.joined(separator: "\n\n")
  }

  /// Throws the exit code of the worst finding.
  func check(_ threshold: Doctor.Threshold) throws {
    let silent = nodes.count(where: \.isSilent)
    if silent == nodes.count {
      throw CommandFailure(.unreachable, "no node answers; examine its Redis without it: parallax doctor --offline")
    }
    let failed = nodes.flatMap(\.checks).filter { $0.status == .fail }
    if let first = failed.first {
      throw CommandFailure(.failed, "\(failed.count) \(failed.count == 1 ? "check" : "checks") failed; the first is \(first.id)")
    }
    let warned = nodes.flatMap(\.checks).filter { $0.status == .warn }
    if let first = warned.first, threshold == .warn {
      throw CommandFailure(.warned, "\(warned.count) \(warned.count == 1 ? "warning" : "warnings"); the first is \(first.id)")
    }
  }
}

extension DoctorReport.Node {
  fileprivate func lines(_ printer: Printer, isQuiet: Bool) -> [String] {
    let width = DiagnosisCheck.allCases.map(\.rawValue.count).max() ?? 0
    var lines = [title, ""]
    for finding in checks where !isQuiet || finding.status >= .warn {
      let name = finding.status.rawValue.uppercased().padded(to: 4)
      let status = printer.terminal.isColored ? finding.status.style?.applied(to: name) ?? name : name
      lines.append("\(status)  \(finding.id.padded(to: width))  \(finding.summary.printable)")
      guard finding.status >= .warn else { continue }
      let more = [("why", finding.cause), ("mend", finding.remedy), ("page", finding.page)]
      lines += more.compactMap { label, text in text.map { "      \(label.padded(to: 4))  \($0.printable)" } }
    }
    return lines + (lines.count > 2 ? [""] : []) + [tally]
  }

  private var title: String {
    let name = nodeId.map { "\($0)\(clusterId.map { ", cluster \($0)" } ?? "")\(version.map { ", version \($0)" } ?? "")" } ?? "no node"
    return "\(server ?? "without a node"): \(name)".printable
  }

  private var tally: String {
    let counts = DiagnosisStatus.allCases.reversed().map { status in "\(checks.count { $0.status == status }) \(status.rawValue)" }
    return "\(checks.count) \(checks.count == 1 ? "check" : "checks"): \(counts.joined(separator: ", "))"
  }
}

extension DiagnosisStatus {
  fileprivate var style: Style? {
    switch self {
    case .ok: .good
    case .warn: .waiting
    case .fail: .bad
    case .skip: nil
    }
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
