import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A `redis-server` process on a free loopback port, with a directory of its own.
///
/// ```swift
/// try await RedisServer.with(.init(password: "secret")) { server in … server.url … }
/// ```
package final class RedisServer: Sendable {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// The server program of the tests; `PARALLAX_TEST_REDIS_SERVER` selects another one.
  private static let defaultExecutable = ProcessInfo.processInfo.environment["PARALLAX_TEST_REDIS_SERVER"] ?? "redis-server"
  /// Whether that server speaks TLS; `Scripts/test-servers.sh` reports a server without TLS.
  package static let hasTLS = ProcessInfo.processInfo.environment["PARALLAX_TEST_REDIS_WITHOUT_TLS"] == nil
  /// Whether that server is Valkey, which hands over in ways that Redis does not know.
  package static let isValkey = defaultExecutable.hasSuffix("valkey-server")
  private static let startTimeout = Duration.seconds(10)
  static let configurationName = "redis.conf"
  static let socketName = "redis.sock"

  private struct State {
    /// The process id; 0 without a process.
    var pid: pid_t = 0
    var isPaused = false
  }

  package let port: Int
  package let directory: String
  package let options: Options
  private let state = Mutex(State())

  /// Prepares a server without starting it.
  ///
  /// - Parameters:
  ///   - options: The options of the server.
  ///   - port: The port; nil chooses a free one.
  /// - Throws: An error if there is no free port or the directory cannot be created.
  package init(_ options: Options = Options(), port: Int? = nil) throws {
    self.options = options
    self.port = try port ?? LoopbackPort.free()
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("redis-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (name, text) in options.files(port: self.port, directory: directory) {
      try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(name)"))
    }
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Starts a server, passes it to the body, and always ends it.
  package static func with<Value>(
    _ options: Options = Options(), isolation: isolated (any Actor)? = #isolation, _ body: (RedisServer) async throws -> Value
  ) async throws -> Value {
    let server = try await started(options)
    defer { server.kill() }
    return try await body(server)
  }

  /// Starts a server, and retries on another port if another process has taken the first one.
  private static func started(_ options: Options) async throws -> RedisServer {
    try await LoopbackPort.retrying {
      let server = try RedisServer(options)
      try await server.start()
      return server
    }
  }

  /// The URL with the password, if there is one.
  package var url: String {
    let credentials = options.password.map { ":\($0)@" } ?? ""
    return "\(options.tls == nil ? "redis" : "rediss")://\(credentials)127.0.0.1:\(port)"
  }

  /// The path of the server's Unix socket, which never uses TLS.
  package var socketPath: String { "\(directory)/\(Self.socketName)" }

  /// The process id; `nil` while the server does not run.
  package var processIdentifier: Int32? {
    isRunning() ? state.withLock(\.pid) : nil
  }

  /// Whether the server runs and is not paused.
  package var isResponsive: Bool { isRunning() && !state.withLock(\.isPaused) }

  // MARK: Commands

  /// Passes the body a connection with all permissions.
  ///
  /// - Throws: `Failure` at once if the server is paused or stopped, or the body's error.
  @discardableResult
  package func withConnection<Value>(_ body: (RawRedisConnection) throws -> Value) throws -> Value {
    guard isResponsive else { throw Failure(description: "the server on port \(port) is paused or does not run") }
    let connection = try RawRedisConnection(path: socketPath)
    if let (user, password) = options.credentials { try connection.command("AUTH", user, password) }
    return try body(connection)
  }

  /// Sends a command on a connection with all permissions, and returns the reply.
  ///
  /// - Throws: `Failure`, also for an error reply.
  @discardableResult
  package func command(_ arguments: String...) throws -> RawRedisReply {
    try withConnection { try $0.command(arguments) }
  }

  /// A section of `INFO`.
  package func info(_ section: String) throws -> [String: String] {
    let lines = try command("INFO", section).text?.split(separator: "\r\n") ?? []
    let pairs = lines.compactMap { line -> (String, String)? in
      line.firstIndex(of: ":").map { (String(line[..<$0]), String(line[line.index(after: $0)...])) }
    }
    return Dictionary(pairs) { first, _ in first }
  }

  // MARK: Lifecycle

  /// Starts the process and waits until it answers PING, be it with a request for a password.
  package func start() async throws {
    try launch()
    try await awaitStart()
  }

  /// Starts the process without waiting for it.
  package func launch() throws {
    try state.withLock { state in
      precondition(state.pid == 0, "the server is running already")
      let flags = options.sentinel == nil ? [] : ["--sentinel"]
      let program = options.executable ?? Self.defaultExecutable
      state.pid = try Self.spawn([program, "\(directory)/\(Self.configurationName)"] + flags)
    }
  }

  /// Waits until a launched process answers; ends it if it does not.
  package func awaitStart() async throws {
    let deadline = ContinuousClock.now + Self.startTimeout
    do {
      while !answersPing() {
        guard isRunning() else { throw Failure(description: "redis-server ended at once: \(log)") }
        guard ContinuousClock.now < deadline else {
          throw Failure(description: "redis-server did not answer on port \(port) in time: \(log)")
        }
        try await Task.sleep(for: .milliseconds(5))
      }
    } catch {
      kill()
      throw error
    }
  }

  /// Stops the server with SIGTERM, and waits for its end.
  package func stop() async {
    signal(SIGTERM)
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(5)
    while isRunning(), clock.now < deadline, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
    kill()
  }

  /// Ends the server with SIGKILL.
  package func kill() {
    state.withLock { state in
      guard state.pid != 0 else { return }
      _ = Glibc.kill(state.pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(state.pid, &status, 0) == -1, errno == EINTR {}
      state = State()
    }
  }

  /// Stops the server with SIGTERM, and starts it again on the same port in the same directory.
  package func restart() async throws {
    await stop()
    try await start()
  }

  /// Pauses the process with SIGSTOP: connections stay open without answers.
  package func pause() {
    signal(SIGSTOP)
    state.withLock { $0.isPaused = true }
  }

  /// Continues a paused process.
  package func resume() {
    signal(SIGCONT)
    state.withLock { $0.isPaused = false }
  }

  /// The server's log.
  package var log: String {
    (try? String(contentsOfFile: "\(directory)/redis.log", encoding: .utf8)) ?? ""
  }

  private func signal(_ number: Int32) {
    state.withLock { state in
      if state.pid != 0 { _ = Glibc.kill(state.pid, number) }
    }
  }

  private func isRunning() -> Bool {
    state.withLock { state in
      guard state.pid != 0 else { return false }
      var status: Int32 = 0
      if waitpid(state.pid, &status, WNOHANG) == state.pid { state = State() }
      return state.pid != 0
    }
  }

  private func answersPing() -> Bool {
    switch try? RawRedisConnection(path: socketPath, patience: .milliseconds(100)).reply(to: "PING") {
    case .string: true
    case .error(let message): message.hasPrefix("NOAUTH")
    default: false
    }
  }

  // MARK: System

  private static func spawn(_ arguments: [String]) throws -> pid_t {
    var pid: pid_t = 0
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0) }
    // The threads of Swift's pool block signals; a child with the same mask would ignore SIGTERM.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var unblocked = sigset_t()
    sigemptyset(&unblocked)
    posix_spawnattr_setsigmask(&attributes, &unblocked)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    closeDescriptorsOnExec()
    let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, pointers, environ)
    guard code == 0 else { throw Failure(description: "cannot start \(arguments[0]): \(String(cString: strerror(code)))") }
    return pid
  }
}
