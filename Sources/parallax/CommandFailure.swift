/// A failed command: its message for people and its exit code for scripts.
struct CommandFailure: Error {
  /// The exit codes of the command line.
  enum Code: Int32 {
    case failed = 1
    case usage = 2
    case noLeader = 3
    case unreachable = 4
  }

  var exitCode: Code
  /// One line for people; says what to do where that is known.
  var message: String

  init(_ exitCode: Code, _ message: String) {
    self.exitCode = exitCode
    self.message = message.printable
  }
}
