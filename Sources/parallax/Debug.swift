import ArgumentParser
import Foundation
import ParallaxAPI
import ParallaxControlPlane

/// The command `parallax debug`.
struct Debug: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Gathers what a report of a fault needs, from every node, in one archive.",
    discussion: """
      Asks every --server, which should be all nodes of the cluster, and changes nothing. The list of what the archive has comes first; --list \
      prints it alone. Passwords, keys and tokens are not in it, but names, addresses and ids are: look at it before you send it.

      A key with the scope admin gets all; with another, or none, the archive lacks the parts that need it, and says so.

      Exit codes: 0 the archive has everything, 1 parts are missing, or it could not be written, 2 wrong usage, 4 no node answers.
      """)

  @Flag(help: "Print what the archive would have, and ask no node.")
  var list = false

  @Option(
    name: .customLong("file"),
    help: ArgumentHelp(
      "The archive, which must not exist yet. Default: parallax-debug-TIME.tar in the current folder.", valueName: "file"),
    completion: .file(extensions: ["tar"]))
  var path: String?

  @Option(help: ArgumentHelp("How long to collect log and events, and the time between the two looks at the metrics: 1 to 30."))
  var seconds: Int = 10

  @OptionGroup var server: ServerOptions

  /// What the command printed as JSON.
  private struct Outcome: Encodable {
    var file: String
    var bytes: Int
    /// The missing parts, by their paths in the archive, with the reasons.
    var missing: [String: String]
  }

  /// An entry of the list as JSON.
  private struct Entry: Encodable {
    var file: String
    var scope: String?
    var contents: String
  }

  /// `contents.json`.
  private struct Contents: Encodable {
    struct Node: Encodable {
      var folder: String
      var server: String
      var nodeId: String?
      var version: String?
      var missing: [String: String]
    }

    var at: Timestamp
    var seconds: Int
    var commandLine: String
    var nodes: [Node]
  }

  func validate() throws {
    guard (1...30).contains(seconds) else { throw ValidationError("--seconds: expected 1 to 30, found \(seconds)") }
  }

  mutating func run() async throws {
    if list { return showList() }
    let now = NodeClock.wall
    let name = "parallax-debug-" + "\(now)".prefix(19).filter { $0.isNumber || $0 == "T" } + "Z"
    let file = path ?? name + ".tar"
    guard !FileManager.default.fileExists(atPath: file) else {
      throw CommandFailure(.failed, "\(file) exists: remove it, or name another with --file")
    }
    Printer.note("The archive will have, of each node N:")
    Printer.note(Printer(.table, terminal: Terminal(columns: nil, rows: nil, isColored: false)).text(of: [DebugPart.table]))
    let collections = try await gather()
    guard collections.contains(where: \.isAnswered) else {
      throw ControlPlaneClient.unreachable(collections.map { $0.missing[DebugPart.health.rawValue] ?? $0.server }, isAnswered: false)
    }
    let archive = try Self.archive(collections, folder: name, at: now, seconds: seconds)
    try Self.write(archive, to: file)
    try report(collections, file: file, size: archive.count)
  }

  private func showList() {
    switch server.output {
    case .table: print(Printer(.table).text(of: [DebugPart.table]))
    case .json:
      let entries =
        [Entry(file: "contents.json", scope: nil, contents: DebugPart.contents)]
        + DebugPart.allCases.map { Entry(file: "node-N/\($0.rawValue)", scope: $0.scope, contents: $0.summary) }
      print((try? Printer.indented(entries)) ?? "")
    }
  }

  /// Asks all nodes at the same time.
  private func gather() async throws -> [DebugCollection] {
    let duration = Duration.seconds(seconds)
    return try await ControlPlaneClient.with(server) { client in
      Printer.note("Collecting for \(duration.text) …")
      return await withTaskGroup(of: (Int, DebugCollection).self) { group in
        for (index, address) in client.addresses.enumerated() {
          group.addTask { (index, await DebugCollection.gather(from: client.only(address), for: duration)) }
        }
        return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
      }
    }
  }

  private static func archive(_ collections: [DebugCollection], folder: String, at time: Timestamp, seconds: Int) throws -> [UInt8] {
    let nodes = collections.enumerated().map { index, collection in
      Contents.Node(
        folder: "node-\(index + 1)", server: collection.server, nodeId: collection.node.id, version: collection.node.version,
        missing: collection.missing)
    }
    let contents = Contents(at: time, seconds: seconds, commandLine: ParallaxVersion.text(commit: BuildCommit.current), nodes: nodes)
    var archive = TarArchive()
    let instant = Int(time.milliseconds / 1_000)
    archive.add("\(folder)/contents.json", Data((try Printer.indented(contents) + "\n").utf8), time: instant)
    for (node, collection) in zip(nodes, collections) {
      for part in DebugPart.allCases {
        guard case .success(let data)? = collection.pieces[part] else { continue }
        archive.add("\(folder)/\(node.folder)/\(part.rawValue)", data, time: instant)
      }
    }
    archive.finish()
    return archive.bytes
  }

  /// Writes the archive as a new file, readable by its owner only.
  private static func write(_ bytes: [UInt8], to file: String) throws {
    let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { throw unwritable(file, String(cString: strerror(errno)).lowercased()) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: Data(bytes))
    } catch {
      // Half an archive would be taken for a whole one.
      unlink(file)
      throw unwritable(file, "\(error)")
    }
  }

  private static func unwritable(_ file: String, _ reason: String) -> CommandFailure {
    CommandFailure(.failed, "\(file) cannot be written: \(reason)")
  }

  private func report(_ collections: [DebugCollection], file: String, size: Int) throws {
    var missing: [String: String] = [:]
    for (index, collection) in collections.enumerated() {
      for (part, reason) in collection.missing { missing["node-\(index + 1)/\(part)"] = reason }
    }
    switch server.output {
    case .json: print(try Printer.indented(Outcome(file: file, bytes: size, missing: missing)))
    case .table: print(file)
    }
    guard !missing.isEmpty else { return }
    let reasons = Dictionary(grouping: missing.keys) { missing[$0] ?? "" }
    for (reason, parts) in reasons.sorted(by: { $0.key < $1.key }) {
      Printer.note("without \(parts.sorted().joined(separator: ", ")): \(reason)")
    }
    throw CommandFailure(.failed, "\(file) lacks \(missing.count) of its parts")
  }
}
