import ParallaxWitness

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A running witness, and the pipe to it, whose only writing end this process holds.
///
/// The end of this process closes the pipe, and nothing else may: the witness takes the end of file for the end of the node. Only a witness
/// that has ended or is discharged is left.
final class WitnessProcess: Sendable {
  /// The reason why there is no witness.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The witness' process id; nil if it runs around this process, and is not its child.
  let process: pid_t?
  private let writingEnd: Int32

  private init(process: pid_t?, writingEnd: Int32) {
    self.process = process
    self.writingEnd = writingEnd
  }

  /// Starts a witness in a session of its own.
  ///
  /// - Parameter executable: The path of the witness.
  /// - Returns: The running witness.
  /// - Throws: ``Failure``.
  static func start(_ executable: String) throws -> WitnessProcess {
    let (readingEnd, writingEnd) = try makePipe()
    defer { close(readingEnd) }
    do {
      return WitnessProcess(process: try spawn(executable, input: readingEnd), writingEnd: writingEnd)
    } catch {
      close(writingEnd)
      throw error
    }
  }

  /// Makes the witness around this process.
  ///
  /// - Parameter descriptor: The writing end of the pipe to it, as of `WitnessDescriptor.take()`.
  /// - Returns: The witness.
  static func around(_ descriptor: Int32) -> WitnessProcess {
    protect(descriptor)
    return WitnessProcess(process: nil, writingEnd: descriptor)
  }

  /// Writes a line, without waiting for the witness to read it.
  ///
  /// - Returns: Whether the pipe took the whole line.
  func write(_ line: [UInt8]) -> Bool {
    line.withUnsafeBytes { Self.write(writingEnd, $0.baseAddress, $0.count) } == line.count
  }

  /// Whether the witness has ended: nobody can read from the pipe any more.
  var hasEnded: Bool {
    var wait = pollfd(fd: writingEnd, events: 0, revents: 0)
    return poll(&wait, 1, 0) > 0 && wait.revents & Int16(POLLERR) != 0
  }

  /// Closes the pipe to a witness that has ended.
  func leave() {
    // It has closed its descriptors, so its end is a matter of microseconds.
    if let process { while waitpid(process, nil, 0) < 0, errno == EINTR {} }
    close(writingEnd)
  }

  /// Ends a witness that cannot be instructed, if this process has started it.
  func dismiss() {
    guard let process else { return }
    kill(process, SIGKILL)
    leave()
  }

  // MARK: The system

  private static func write(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Glibc)
    Glibc.write(descriptor, bytes, count)
    #elseif canImport(Musl)
    Musl.write(descriptor, bytes, count)
    #else
    Darwin.write(descriptor, bytes, count)
    #endif
  }

  private static func makePipe() throws -> (readingEnd: Int32, writingEnd: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failure(description: "there is no pipe: \(String(cString: strerror(errno)))") }
    // A program that another thread starts before this would inherit the writing end, and delay the end of file.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    protect(ends[1])
    return (ends[0], ends[1])
  }

  /// Keeps the writing end from other programs, and this process from waiting for or dying of its witness.
  private static func protect(_ writingEnd: Int32) {
    _ = fcntl(writingEnd, F_SETFD, FD_CLOEXEC)
    _ = fcntl(writingEnd, F_SETFL, O_WRONLY | O_NONBLOCK)
    signal(SIGPIPE, SIG_IGN)
  }

  /// The variables that the witness inherits: those of the loader, of times and of trusted authorities, and no secret.
  private static let inherited = [
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
  ]

  private static func spawn(_ executable: String, input: Int32) throws -> pid_t {
    var actions = SpawnFileActions()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    var attributes = SpawnAttributes()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | sessionFlag))
    let variables = inherited.compactMap { name in getenv(name).map { "\(name)=\(String(cString: $0))" } }
    let words: [String] = [WitnessChannel.executable, "--node-process", "\(getpid())"]
    let arguments = words.map { strdup($0) } + [nil]
    let environment = variables.map { strdup($0) } + [nil]
    defer { for text in arguments + environment { free(text) } }
    var process: pid_t = 0
    let error = posix_spawn(&process, executable, &actions, &attributes, arguments, environment)
    guard error == 0 else { throw Failure(description: "\(executable) cannot be started: \(String(cString: strerror(error)))") }
    return process
  }

  /// `POSIX_SPAWN_SETSID`: a signal to the node's process group or terminal must not reach the witness.
  #if canImport(Darwin)
  private static let sessionFlag: Int32 = 0x400
  #else
  private static let sessionFlag: Int32 = 0x80
  #endif
}

#if canImport(Darwin)
private typealias SpawnFileActions = posix_spawn_file_actions_t?
private typealias SpawnAttributes = posix_spawnattr_t?
#else
private typealias SpawnFileActions = posix_spawn_file_actions_t
private typealias SpawnAttributes = posix_spawnattr_t
#endif
