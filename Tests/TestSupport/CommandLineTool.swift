import Foundation

/// The built executable `parallax`.
package struct CommandLineTool: Sendable {
  /// The output and the exit of a run.
  package struct Outcome: Sendable {
    package var exit: ChildProcess.Exit
    package var output: String
    package var errorOutput: String
  }

  /// The addresses of the nodes; nil for the tool's default.
  package var server: String?

  package init(server: String?) {
    self.server = server
  }

  package func callAsFunction(
    _ arguments: String..., input: String? = nil, environment: [String: String] = [:], files: [String: String] = [:]
  ) async throws -> Outcome {
    var variables = environment
    variables["PARALLAX_SERVER"] = variables["PARALLAX_SERVER"] ?? server
    let (exit, output, errorOutput) = try await run(
      ProjectLayout.executable("parallax"), arguments, environment: variables, input: input, files: files)
    return Outcome(exit: exit, output: output, errorOutput: errorOutput)
  }
}
