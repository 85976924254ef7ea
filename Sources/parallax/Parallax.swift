import ArgumentParser
import Foundation
import ParallaxAPI

/// The command line of Parallax.
struct Parallax: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parallax",
    abstract: "Runs executions on a Parallax control plane and shows its state.",
    discussion: """
      The address of the control plane is --server or PARALLAX_SERVER, else http://127.0.0.1:8080; options of the server may stand in front \
      of the command. Completions for a shell: parallax --generate-completion-script bash, zsh or fish.
      Exit codes: 0 success, 1 failure, 2 wrong usage, 3 no leader, 4 no server reachable or ready, 5 a warning of the doctor.
      """,
    version: ParallaxVersion.text(commit: BuildCommit.current),
    subcommands: [Executions.self, Agents.self, Agent.self, Patterns.self, HA.self, Doctor.self, Debug.self, Keys.self])
}

@main
enum Entry {
  static func main() async {
    do {
      var command = try Parallax.parseAsRoot(GlobalArguments.reordered(Array(CommandLine.arguments.dropFirst())))
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let error as CommandFailure {
      FileHandle.standardError.write(Data("parallax: \(error.message)\n".utf8))
      exit(error.exitCode.rawValue)
    } catch {
      // The parser's exit code for wrong usage is 64; the contract of this tool is 2.
      guard Parallax.exitCode(for: error) == .validationFailure else { Parallax.exit(withError: error) }
      FileHandle.standardError.write(Data("\(Parallax.fullMessage(for: error))\n".utf8))
      exit(CommandFailure.Code.usage.rawValue)
    }
  }
}
