import Foundation
import ParallaxAPI

/// A node process: the built executable `parallaxd` on a free loopback port.
package struct ParallaxdProcess: Sendable {
  package let process: ChildProcess
  package let port: Int

  /// The base URL of the API, for instance `http://127.0.0.1:40123`.
  package var url: String { "http://127.0.0.1:\(port)" }

  /// The address for agents.
  package var agentURL: String { "ws://127.0.0.1:\(port)/ws/agent" }

  /// A client of the API.
  package var api: APIClient { APIClient(base: url) }

  /// Starts a node and waits until it has logged its address.
  ///
  /// A port other than 0 restarts a node at its former address. A node that is the child of its witness is ``node``.
  package static func start(
    arguments: [String] = [], environment: [String: String] = [:], files: [String: String] = [:], port: Int = 0,
    isInsideWitness: Bool = false
  ) async throws -> ParallaxdProcess {
    var variables = environment
    variables["PARALLAX_PORT"] = "\(port)"
    let executable = try ProjectLayout.executable("parallaxd")
    let process =
      isInsideWitness
      ? try ChildProcess(
        ProjectLayout.executable("parallax-witness"), ["--", executable.path] + arguments, environment: variables, files: files)
      : try ChildProcess(executable, arguments, environment: variables, files: files)
    do {
      let port = try await process.waitForOutput("the address it listens on") { output, errorOutput in
        listeningPort(in: output) ?? listeningPort(in: errorOutput)
      }
      return ParallaxdProcess(process: process, port: port)
    } catch {
      await process.stop()
      throw error
    }
  }

  /// Waits until the node is ready.
  package func waitUntilReady(within limit: Duration = .seconds(15)) async throws {
    try await eventually("the readiness of \(url)", within: limit) { try await isReady }
  }

  /// Whether the node is ready.
  package var isReady: Bool {
    get async throws { try await api.get("/health/ready").status == 200 }
  }

  private static func listeningPort(in text: String) -> Int? {
    text.firstMatch(of: /https?:\/\/127\.0\.0\.1:([0-9]+)/).flatMap { Int($0.1) }
  }
}

/// Starts a node, waits until it is ready, passes it to the body, and always ends it.
package func withParallaxd<Result>(
  arguments: [String] = [], environment: [String: String] = [:], files: [String: String] = [:],
  _ body: (ParallaxdProcess) async throws -> Result
) async throws -> Result {
  let node = try await ParallaxdProcess.start(arguments: arguments, environment: environment, files: files)
  return try await withChildProcess(node.process) { _ in
    do {
      try await node.waitUntilReady()
      return try await body(node)
    } catch {
      throw ProcessFailure("\(error)\n--- parallaxd, stdout\n\(node.process.output)\n--- stderr\n\(node.process.errorOutput)")
    }
  }
}
