package import Foundation
import Synchronization

/// A child process with a temporary working folder, which also has its output.
///
/// Each process must be ended with `stop()`, also after a failure.
package final class ChildProcess: Sendable {
  /// The end of a process.
  package enum Exit: Sendable, Hashable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)

    package var description: String {
      switch self {
      case .code(let code): "exit code \(code)"
      case .signal(let signal): "signal \(signal)"
      }
    }
  }

  /// The process's working folder, removed by `stop()`.
  package let folder: URL

  /// The process id.
  package let pid: pid_t

  private let name: String
  private let state = Mutex<Exit?>(nil)

  /// Starts a process with this process's environment, without `PARALLAX_` variables and with the given ones.
  ///
  /// - Parameters:
  ///   - executable: The program.
  ///   - arguments: Its arguments.
  ///   - environment: Additional variables.
  ///   - input: The standard input; nil leaves it empty.
  ///   - files: The files to create in the working folder, by path.
  /// - Throws: `ProcessFailure` if the program cannot be started.
  package init(
    _ executable: URL, _ arguments: [String] = [], environment: [String: String] = [:], input: String? = nil, files: [String: String] = [:]
  ) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "parallax-test-\(UUID().uuidString)")
    name = executable.lastPathComponent
    for (path, text) in files.merging(["stdin": input ?? ""], uniquingKeysWith: { given, _ in given }) {
      let file = folder.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PARALLAX_") }
    pid = try spawn(
      executable, arguments, environment: inherited.merging(environment) { _, given in given }, folder: folder,
      input: folder.appending(path: "stdin").path, output: folder.appending(path: "stdout").path,
      errorOutput: folder.appending(path: "stderr").path)
  }

  /// The end of the process; nil while it runs.
  package var exit: Exit? {
    state.withLock { known in
      if known == nil {
        var status: Int32 = 0
        // Under the lock, because another process may get the process id after the wait.
        if waitpid(pid, &status, WNOHANG) == pid {
          let signal = status & 0x7f
          known = signal == 0 ? .code(status >> 8 & 0xff) : .signal(signal)
        }
      }
      return known
    }
  }

  /// The standard output so far.
  package var output: String { text(of: "stdout") }

  /// The standard error so far.
  package var errorOutput: String { text(of: "stderr") }

  /// Both outputs so far.
  package var log: String { output + errorOutput }

  /// Sends a signal, unless the process has ended.
  package func send(signal: Int32) {
    if exit == nil { kill(pid, signal) }
  }

  /// Waits for the end of the process.
  package func waitForExit(within limit: Duration = .seconds(15)) async throws -> Exit {
    try await eventualValue("the end of \(name) (\(pid))", within: limit) { exit }
  }

  /// Waits for a value in the output; the error includes the whole output.
  package func waitForOutput<Value>(
    _ what: String, within limit: Duration = .seconds(15), _ found: (_ output: String, _ errorOutput: String) -> Value?
  ) async throws -> Value {
    do {
      return try await eventualValue("\(what) from \(name)", within: limit) {
        if let value = found(output, errorOutput) { return value }
        if let exit { throw ProcessFailure("\(name) ended with \(exit) before \(what)") }
        return nil
      }
    } catch {
      throw ProcessFailure("\(error)\n--- stdout\n\(output)\n--- stderr\n\(errorOutput)")
    }
  }

  /// Kills the process and its children, waits for its end, and removes its folder.
  package func stop() async {
    // A witness that is killed leaves the node inside it running.
    let children = exit == nil ? childProcesses(of: pid).filter { !$0.isZombie } : []
    send(signal: SIGKILL)
    for child in children { kill(child.pid, SIGKILL) }
    // The cancellation of a failed test must not shorten the wait: the process must end before the next one starts.
    await Task { _ = try? await self.waitForExit() }.value
    try? FileManager.default.removeItem(at: folder)
  }

  /// The contents of a file in the process' working folder; empty without the file.
  package func text(of file: String) -> String {
    (try? Data(contentsOf: folder.appending(path: file))).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

/// Starts a process, passes it to the body, and always ends it.
package func withChildProcess<Result>(
  _ start: @autoclosure () throws -> ChildProcess, _ body: (ChildProcess) async throws -> Result
) async throws -> Result {
  let process = try start()
  do {
    let result = try await body(process)
    await process.stop()
    return result
  } catch {
    await process.stop()
    throw error
  }
}

/// Runs a program to its end.
package func run(
  _ executable: URL, _ arguments: [String], environment: [String: String] = [:], input: String? = nil, files: [String: String] = [:],
  within limit: Duration = .seconds(60)
) async throws -> (exit: ChildProcess.Exit, output: String, errorOutput: String) {
  try await withChildProcess(ChildProcess(executable, arguments, environment: environment, input: input, files: files)) { process in
    let exit = try await process.waitForExit(within: limit)
    return (exit, process.output, process.errorOutput)
  }
}
