import ArgumentParser
import Foundation
import ParallaxAPI
import ParallaxControlPlane

/// The command `parallax doctor`.
struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Examines nodes, their Redis and their cluster, and says what is wrong, why, and what mends it.",
    discussion: """
      Asks every --server. With --offline it asks Redis itself, as parallaxd with the same configuration would, without a node: before the \
      first start, or when no node answers. Nothing is changed.

      Every check has a stable id and a section in \(DiagnosisCheck.page).

      Exit codes: 0 all is well, 1 a check failed, 2 wrong usage, 4 no node answers, 5 the worst finding is a warning.
      """)

  /// The outcome from which the exit code tells of it.
  enum Threshold: String, ExpressibleByArgument, CaseIterable {
    case warn, fail
  }

  @Flag(help: "Ask the Redis of the configuration instead of nodes.")
  var offline = false

  @Option(
    help: ArgumentHelp("With --offline: the configuration file; by default that which parallaxd would read.", valueName: "file"),
    completion: .file(extensions: ["yaml"]))
  var config: String?

  @Option(
    name: .customLong("redis-url"),
    help: ArgumentHelp("With --offline: the address of Redis, instead of that of the configuration.", valueName: "url"))
  var redisURL: String?

  @Option(help: "The mildest finding for which the exit code is not 0.")
  var failOn: Threshold = .warn

  @Flag(help: "Leave out the checks that pass or are skipped.")
  var quiet = false

  @OptionGroup var server: ServerOptions

  func validate() throws {
    guard !offline else { return }
    if config != nil || redisURL != nil {
      throw ValidationError("--config and --redis-url need --offline: a node has a configuration of its own")
    }
  }

  mutating func run() async throws {
    let report = offline ? DoctorReport(nodes: [try await examined()]) : DoctorReport(nodes: try await answers())
    switch server.output {
    case .json: print(try Printer.indented(report))
    case .table:
      let printer = Printer(.table)
      print(report.text(printer, isQuiet: quiet))
    }
    try report.check(failOn)
  }

  /// Examines the Redis of the configuration.
  private func examined() async throws -> DoctorReport.Node {
    let flags = redisURL.map { [ConfigurationFlag("--redis-url", key: "redis.url", value: $0)] } ?? []
    do {
      let configuration = try ConfigurationFiles.load(config: config ?? ConfigurationFiles.located, flags: flags)
      return DoctorReport.Node(server: nil, try await OfflineDiagnosis.document(of: configuration, clock: ContinuousClock()))
    } catch let error as ConfigurationError {
      FileHandle.standardError.write(Data("parallax: \(error)\n".utf8))
      throw ExitCode(CommandFailure.Code.failed.rawValue)
    }
  }

  /// Asks all nodes at the same time.
  private func answers() async throws -> [DoctorReport.Node] {
    try await ControlPlaneClient.with(server) { client in await answers(from: client) }
  }

  private func answers(from client: ControlPlaneClient) async -> [DoctorReport.Node] {
    await withTaskGroup(of: (Int, DoctorReport.Node).self) { group in
      for (index, address) in client.addresses.enumerated() {
        group.addTask {
          do {
            let answer = try await client.only(address).get("/ha/diagnosis")
            return (index, DoctorReport.Node(server: address, try Printer.decode(answer, as: DiagnosisDocument.self)))
          } catch let failure as CommandFailure {
            return (index, DoctorReport.Node(server: address, failure: failure))
          } catch {
            return (index, DoctorReport.Node(server: address, failure: CommandFailure(.failed, "\(error)")))
          }
        }
      }
      let all = await group.reduce(into: []) { $0.append($1) }
      return all.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }
}
