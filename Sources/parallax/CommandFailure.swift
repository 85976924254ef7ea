/// A failed command: its message and its exit code.
struct CommandFailure: Error {
  /// The exit codes of the command line.
  enum Code: Int32 {
    case failed = 1
    case usage = 2
    case noLeader = 3
    case unreachable = 4
    /// Only of `doctor`: nothing failed, and something should be changed.
    case warned = 5
  }

  var exitCode: Code
  /// One line with the failure and, if known, its remedy.
  var message: String

  init(_ exitCode: Code, _ message: String) {
    self.exitCode = exitCode
    // Several mistakes stay one line.
    self.message = message.split(whereSeparator: \.isNewline).joined(separator: "; ").printable
  }
}
