import Foundation

/// Writes the commit of a working tree into a Swift source, for the build plugin `EmbedCommit`.
///
/// The arguments are the path of the source, that of Git's folder, and the commit, or an empty text to read it from the folder. Reads Git's
/// files itself, so that a build needs no Git.
@main
enum EmbedCommit {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count == 3, let output = arguments.first, let given = arguments.last else {
      throw Failure(description: "usage: embed-commit OUTPUT GIT_FOLDER COMMIT")
    }
    let commit = given.isEmpty ? commit(in: URL(filePath: arguments[2])) : given
    if let commit, !isCommit(commit) {
      throw Failure(description: "PARALLAX_COMMIT is '\(commit)': expected the hash of a commit, 12 to 64 digits of 0-9 and a-f")
    }
    let value = commit.map { "\"\($0.prefix(12))\"" } ?? "nil"
    let source = """
      /// The commit from which this program was built.
      enum BuildCommit {
        /// The first twelve digits of its hash; nil if the sources had no Git folder.
        static let current: String? = \(value)
      }

      """
    // A source that is written again is compiled again.
    if let old = try? String(contentsOfFile: output, encoding: .utf8), old == source { return }
    try Data(source.utf8).write(to: URL(filePath: output))
  }

  /// The commit that is checked out; nil if the folder tells none.
  private static func commit(in folder: URL) -> String? {
    guard let head = text(folder.appending(path: "HEAD")) else { return nil }
    guard head.hasPrefix("ref: ") else { return isCommit(head) ? head : nil }
    let reference = String(head.dropFirst(5))
    // A further working tree shares the references of the first one.
    let common = text(folder.appending(path: "commondir")).map { URL(filePath: $0, relativeTo: folder) } ?? folder
    let loose = [folder, common].lazy.compactMap { text($0.appending(path: reference)) }.first
    let packed = text(common.appending(path: "packed-refs"))?.split(separator: "\n").first { $0.hasSuffix(" \(reference)") }
    let commit = loose ?? packed.map { String($0.prefix { $0 != " " }) }
    return commit.flatMap { isCommit($0) ? $0 : nil }
  }

  private static func text(_ file: URL) -> String? {
    (try? String(contentsOf: file, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func isCommit(_ text: String) -> Bool {
    (12...64).contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}
