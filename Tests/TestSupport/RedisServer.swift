import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A real `redis-server` on a free loopback port, with a directory of its own.
///
/// ```swift
/// try await RedisServer.with(.init(password: "secret")) { server in … server.url … }
/// ```
package final class RedisServer: Sendable {
  /// How the server is started.
  package struct Options: Sendable {
    /// The password of the default user.
    package var password: String?
    /// The number of databases; Redis's own default, 16, if `nil`.
    package var databases: Int?
    /// Whether writes go to an append-only file (`appendfsync everysec`), so that they survive ``RedisServer/kill()``.
    package var appendOnly: Bool
    /// Further arguments, such as `["--maxmemory", "1mb"]`.
    package var arguments: [String]

    package init(password: String? = nil, databases: Int? = nil, appendOnly: Bool = false, arguments: [String] = []) {
      self.password = password
      self.databases = databases
      self.appendOnly = appendOnly
      self.arguments = arguments
    }
  }

  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  private static let executable = "redis-server"
  private static let startTimeout = Duration.seconds(10)

  package let port: Int
  package let directory: String
  private let options: Options
  /// The running process, 0 if there is none.
  private let process = Mutex<pid_t>(0)

  /// Prepares a server that is not started yet.
  ///
  /// - Parameters:
  ///   - options: How to start it.
  ///   - port: Its port; a free one if `nil`.
  /// - Throws: If there is no free port, or no directory can be made.
  package init(_ options: Options = Options(), port: Int? = nil) throws {
    self.options = options
    self.port = try port ?? Self.freePort()
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("redis-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Starts a server, hands it to the body, and ends it whatever happens.
  package static func with<Value>(
    _ options: Options = Options(), isolation: isolated (any Actor)? = #isolation, _ body: (RedisServer) async throws -> Value
  ) async throws -> Value {
    let server = try await started(options)
    defer { server.kill() }
    return try await body(server)
  }

  /// Starts a server; again on another port if somebody was quicker to take the one that was free.
  private static func started(_ options: Options) async throws -> RedisServer {
    for _ in 0..<5 {
      let server = try RedisServer(options)
      do {
        try await server.start()
        return server
      } catch let failure as Failure where failure.description.contains("Address already in use") {
        server.kill()
      }
    }
    let server = try RedisServer(options)
    try await server.start()
    return server
  }

  /// The URL with the password, if there is one.
  package var url: String {
    let credentials = options.password.map { ":\($0)@" } ?? ""
    return "redis://\(credentials)127.0.0.1:\(port)"
  }

  /// The process id; `nil` while the server does not run.
  package var processIdentifier: Int32? {
    process.withLock { $0 == 0 ? nil : $0 }
  }

  // MARK: Life

  /// Starts the process and waits until it answers PING, or refuses it for want of a password.
  package func start() async throws {
    try launch()
    let clock = ContinuousClock()
    let deadline = clock.now + Self.startTimeout
    while !answersPing() {
      guard isRunning() else { throw Failure(description: "redis-server ended at once: \(log)") }
      guard clock.now < deadline else {
        kill()
        throw Failure(description: "redis-server did not answer on port \(port) in time: \(log)")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Starts the process without waiting for it.
  package func launch() throws {
    try process.withLock { pid in
      precondition(pid == 0, "the server is running already")
      pid = try Self.spawn([Self.executable] + arguments)
    }
  }

  /// Ends the server with SIGTERM, as an operator would, and waits for its end.
  package func stop() async {
    signal(SIGTERM)
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(5)
    while isRunning(), clock.now < deadline, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
    kill()
  }

  /// Ends the server with SIGKILL.
  package func kill() {
    process.withLock { pid in
      guard pid != 0 else { return }
      _ = Glibc.kill(pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(pid, &status, 0) == -1, errno == EINTR {}
      pid = 0
    }
  }

  /// Ends the server with SIGTERM and starts it again on its port and in its directory.
  package func restart() async throws {
    await stop()
    try await start()
  }

  /// Stops the process with SIGSTOP: connections stay open, and nothing answers.
  package func pause() { signal(SIGSTOP) }

  /// Continues a paused process.
  package func resume() { signal(SIGCONT) }

  /// What the server has logged.
  package var log: String {
    (try? String(contentsOfFile: "\(directory)/redis.log", encoding: .utf8)) ?? ""
  }

  private func signal(_ number: Int32) {
    process.withLock { pid in
      if pid != 0 { _ = Glibc.kill(pid, number) }
    }
  }

  private func isRunning() -> Bool {
    process.withLock { pid in
      guard pid != 0 else { return false }
      var status: Int32 = 0
      if waitpid(pid, &status, WNOHANG) == pid { pid = 0 }
      return pid != 0
    }
  }

  private var arguments: [String] {
    var arguments = [
      "--port", "\(port)", "--bind", "127.0.0.1", "--dir", directory, "--logfile", "redis.log", "--daemonize", "no", "--save", "",
      "--enable-debug-command", "local",
    ]
    if let password = options.password { arguments += ["--requirepass", password] }
    if let databases = options.databases { arguments += ["--databases", "\(databases)"] }
    if options.appendOnly { arguments += ["--appendonly", "yes", "--appendfsync", "everysec"] }
    return arguments + options.arguments
  }

  // MARK: System

  private static func spawn(_ arguments: [String]) throws -> pid_t {
    var pid: pid_t = 0
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0) }
    // The threads of Swift's pool block signals; a child that inherited this could not be ended with SIGTERM.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var unblocked = sigset_t()
    sigemptyset(&unblocked)
    posix_spawnattr_setsigmask(&attributes, &unblocked)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let code = posix_spawnp(&pid, executable, &actions, &attributes, pointers, environ)
    guard code == 0 else { throw Failure(description: "cannot start \(executable): \(String(cString: strerror(code)))") }
    return pid
  }

  private func answersPing() -> Bool {
    Self.withSocket { descriptor, address in
      guard address(port, connect) == 0 else { return false }
      guard send(descriptor, "PING\r\n", 6, Int32(MSG_NOSIGNAL)) == 6 else { return false }
      var reply = [UInt8](repeating: 0, count: 64)
      let count = recv(descriptor, &reply, reply.count, 0)
      return count > 0 && ["+PONG", "-NOAUTH"].contains { String(decoding: reply[..<count], as: UTF8.self).hasPrefix($0) }
    }
  }

  /// A port of the loopback address that nothing listens on.
  package static func freePort() throws -> Int {
    for _ in 0..<100 {
      let port = anyFreePort()
      if (1...highestPort).contains(port) { return port }
    }
    throw Failure(description: "there is no free port up to \(highestPort)")
  }

  /// A server in cluster mode also listens 10,000 above its port.
  private static let highestPort = 55_535

  private static func anyFreePort() -> Int {
    withSocket { descriptor, address -> Int in
      guard address(0, bind) == 0 else { return 0 }
      var bound = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let code = withUnsafeMutablePointer(to: &bound) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
      }
      return code == 0 ? Int(UInt16(bigEndian: bound.sin_port)) : 0
    }
  }

  private typealias AddressCall = (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32

  /// A socket with little patience, and a way to bind or connect it to a loopback port.
  private static func withSocket<Value>(_ body: (Int32, (Int, AddressCall) -> Int32) -> Value) -> Value {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var patience = timeval(tv_sec: 0, tv_usec: 100_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    return body(descriptor) { port, call in
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(UInt16(port)).bigEndian
      address.sin_addr.s_addr = inet_addr("127.0.0.1")
      return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
      }
    }
  }
}
