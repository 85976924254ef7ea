import Foundation
import PackagePlugin

/// Embeds the commit of the sources in a program, as `BuildCommit.current`.
///
/// The manifest cannot do it: SwiftPM keeps what it has evaluated, with the commit of that moment. The command here runs again after each
/// commit and checkout, because Git's own files are its inputs. `PARALLAX_COMMIT` names the commit where the sources are a copy without
/// Git's files, as in the build of an image.
@main
struct EmbedCommit: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let git = Self.gitFolder(of: context.package.directoryURL)
    // The log of HEAD has a line for each commit and checkout; a repository without logs has only these other two.
    let inputs = ["HEAD", "logs/HEAD", "packed-refs"].map { git.appending(path: $0) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
    let output = context.pluginWorkDirectoryURL.appending(path: "BuildCommit.swift")
    let given = ProcessInfo.processInfo.environment["PARALLAX_COMMIT"] ?? ""
    return [
      .buildCommand(
        displayName: "Embedding the commit", executable: try context.tool(named: "embed-commit").url,
        arguments: [output.path, git.path, given], inputFiles: inputs, outputFiles: [output])
    ]
  }

  /// The folder of Git's files for a working tree: in a further working tree, and in a submodule, a file names it.
  private static func gitFolder(of tree: URL) -> URL {
    let usual = tree.appending(path: ".git")
    guard let text = try? String(contentsOf: usual, encoding: .utf8), text.hasPrefix("gitdir: ") else { return usual }
    return URL(filePath: text.dropFirst(8).trimmingCharacters(in: .whitespacesAndNewlines), relativeTo: tree).absoluteURL
  }
}
