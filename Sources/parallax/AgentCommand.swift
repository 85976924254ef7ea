import ArgumentParser
import Foundation
import Logging
import ParallaxAPI
import ParallaxAgent
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The command `parallax agent`.
struct Agent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent", abstract: "Makes an agent of a command.", subcommands: [Run.self])

  /// The command `parallax agent run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Works on tasks by running a command for each, until it is stopped.",
      usage: "parallax agent run --capability <capability> [--concurrency <n>] [--id <id>] -- <command> ...",
      discussion: """
        The command gets the task's input on standard input, as JSON, and its result is what it prints: JSON, or else a text. Another exit \
        code than 0 fails the task with the end of its standard error; it is repeated as often as its pattern allows, but for the code 65 \
        (wrong data). PARALLAX_TASK_ID, PARALLAX_EXECUTION_ID, PARALLAX_PATTERN, PARALLAX_CAPABILITY and PARALLAX_TIMEOUT_MS tell it more. A \
        cancelled task gets SIGTERM, and SIGKILL five seconds later. SIGTERM or SIGINT lets running tasks end.
        """)

    @Option(
      name: .customLong("capability"), help: ArgumentHelp("What the agent can do; repeat it for several.", valueName: "capability"))
    var capabilities: [String]

    @Option(help: "The agent's id, of one process at a time. Default: a new one.")
    var id: String?

    @Option(help: "The tasks at the same time.")
    var concurrency = 1

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    @OptionGroup var server: ServerOptions

    func validate() throws {
      guard !command.isEmpty else {
        throw ValidationError("expected a command behind --, as in: parallax agent run --capability echo -- cat")
      }
    }

    mutating func run() async throws {
      let program = try TaskCommand(command)
      var configuration = AgentConfiguration(
        urls: try ServerOptions.addresses(server.servers), id: id ?? "agent_" + UUID().uuidString.lowercased().prefix(8),
        capabilities: capabilities)
      configuration.maxConcurrentTasks = concurrency
      configuration.reconnection.maxRetries = 0
      configuration.tls = server.agentTLS()
      if let key = ServerOptions.key(server.apiKey) { configuration.credential = { key } }
      var logger = Logger(label: "parallax.agent") { StreamLogHandler.standardError(label: $0) }
      logger.logLevel = .info
      let agent = ParallaxAgent(configuration: configuration, logger: logger) { try await program.run($0) }
      var quiet = logger
      quiet.logLevel = .error
      do {
        try await ServiceGroup(services: [agent], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet).run()
      } catch let error as ParallaxAgentError {
        throw CommandFailure(
          error.code == .invalidConfiguration ? .usage : error.code == .unreachable ? .unreachable : .failed, error.description)
      }
    }
  }
}

/// A command that works on tasks.
struct TaskCommand: Sendable {
  /// The exit code of `EX_DATAERR` in sysexits.h: the input is wrong, and a repetition would not help.
  static let dataFault: Int32 = 65
  /// The time from SIGTERM to SIGKILL.
  private static let grace: Duration = .seconds(5)
  /// The bytes of standard error that a failure shows, from its end.
  private static let shownError = 2_000

  private let executable: URL
  private let arguments: [String]

  /// Finds the command in `PATH`.
  ///
  /// - Throws: ``CommandFailure``, of `.usage` if there is none.
  init(_ command: [String], path: String = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") throws {
    let name = command.first ?? ""
    let places = name.contains("/") ? [name] : path.split(separator: ":").map { $0 + "/" + name }
    guard let found = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw CommandFailure(.usage, "the command \(name) is not found, or cannot be executed")
    }
    executable = URL(filePath: found)
    arguments = Array(command.dropFirst())
  }

  /// Runs the command for a task.
  ///
  /// - Throws: ``AgentTaskFailure`` of its exit, or `CancellationError`.
  func run(_ task: AgentTask) async throws -> AgentResult {
    let (status, output, errors) = try await outcome(of: task)
    try Task.checkCancellation()
    guard status == 0 else {
      let words = String(decoding: errors.suffix(Self.shownError), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      throw AgentTaskFailure(
        code: "EXIT_\(status)", message: words.isEmpty ? "\(executable.lastPathComponent) ended with \(status)" : words,
        isRetryable: status != Self.dataFault)
    }
    if let value = try? JSON.value(from: output) { return AgentResult(value) }
    let text = String(decoding: output, as: UTF8.self)
    return AgentResult(.string(text.hasSuffix("\n") ? String(text.dropLast()) : text))
  }

  private func outcome(of task: AgentTask) async throws -> (status: Int32, output: Data, errors: Data) {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = environment(of: task)
    let (input, output, errors) = RunningProcess.makePipes()
    (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
    let text = try JSON.encode(task.input)
    let running = RunningProcess(process)
    return try await withTaskCancellationHandler {
      async let printed = Self.contents(of: output.fileHandleForReading)
      async let complained = Self.contents(of: errors.fileHandleForReading)
      let end: Int32
      do {
        end = try await running.run {
          // A command that reads nothing ends its input early.
          DispatchQueue.global().async {
            try? input.fileHandleForWriting.write(contentsOf: text)
            try? input.fileHandleForWriting.close()
          }
        }
      } catch {
        // Without a process nobody else ends what is read here.
        for pipe in [input, output, errors] { try? pipe.fileHandleForWriting.close() }
        throw error
      }
      return (end, await printed, await complained)
    } onCancel: {
      running.stop(after: Self.grace)
    }
  }

  private func environment(of task: AgentTask) -> [String: String] {
    var environment = ProcessInfo.processInfo.environment
    // The command works for the agent, not as the agent.
    environment["PARALLAX_API_KEY"] = nil
    environment["PARALLAX_TASK_ID"] = task.id
    environment["PARALLAX_EXECUTION_ID"] = task.executionID
    environment["PARALLAX_PATTERN"] = task.patternName
    environment["PARALLAX_CAPABILITY"] = task.capability
    environment["PARALLAX_TIMEOUT_MS"] = "\(task.timeout.wholeMilliseconds)"
    return environment
  }

  /// Reads a pipe to its end, on a thread that may wait.
  private static func contents(of handle: FileHandle) async -> Data {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: (try? handle.readToEnd()) ?? Data()) }
    }
  }
}

/// A process that can be stopped from another task, also before its start, together with what it has started.
private final class RunningProcess: Sendable {
  private struct State {
    var id: pid_t?
    var isStopped = false
    var hasEnded = false
  }

  /// Held while pipes are made and processes are started, so that no process inherits the pipes of another.
  private static let spawning = Mutex(())

  private let process: Process
  private let state = Mutex(State())

  init(_ process: Process) {
    self.process = process
  }

  /// Pipes that only the process gets that they are given to.
  static func makePipes() -> (Pipe, Pipe, Pipe) {
    spawning.withLock { _ in
      let pipes = (Pipe(), Pipe(), Pipe())
      for pipe in [pipes.0, pipes.1, pipes.2] {
        for handle in [pipe.fileHandleForReading, pipe.fileHandleForWriting] { _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC) }
      }
      return pipes
    }
  }

  /// Starts the process and waits for its end.
  func run(started: () -> Void) async throws -> Int32 {
    let (ends, end) = AsyncStream<Int32>.makeStream()
    process.terminationHandler = { process in
      // As a shell tells of signals.
      end.yield(process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus)
      end.finish()
    }
    try state.withLock { state in
      if state.isStopped { throw CancellationError() }
      try Self.spawning.withLock { _ in
        // This thread may have signals blocked, which the process would inherit for its life.
        var (none, former) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        try process.run()
      }
      state.id = process.processIdentifier
    }
    started()
    // Its end counts, also after a cancellation of this task.
    let status = await Task { await ends.first { _ in true } ?? -1 }.value
    state.withLock { state in
      state.hasEnded = true
      // What it has left behind would hold its output open, and the place of the task with it.
      if let id = state.id { kill(-id, SIGKILL) }
    }
    return status
  }

  /// Ends the process and its group with SIGTERM, and what is left of them with SIGKILL after a while.
  func stop(after grace: Duration) {
    state.withLock { $0.isStopped = true }
    signal(SIGTERM)
    Task { [self] in
      try? await Task.sleep(for: grace)
      signal(SIGKILL)
    }
  }

  private func signal(_ number: Int32) {
    state.withLock { state in
      guard let id = state.id, !state.hasEnded else { return }
      if kill(-id, number) != 0 { kill(id, number) }
    }
  }
}
