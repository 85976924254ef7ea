import ParallaxHA
import ParallaxWitness

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A node that runs as the child of its witness.
struct NodeChild {
  /// The node could not be started.
  struct Failure: Error, CustomStringConvertible {
    /// The exit code of a shell in the same case: 127 for a program that does not exist, else 126.
    let code: Int32
    let description: String
  }

  let process: pid_t
  private let readingEnd: Int32
  /// Whether the node has got the terminal from this process; a background job has none to give.
  private let hasTerminal: Bool

  /// The signals that are no message to the node: faults of this process, and those that nobody can wait for.
  private static let own: Set<Int32> = [
    SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPIPE, SIGTTIN, SIGTTOU,
  ]

  private static var awaited: sigset_t {
    var set = sigset_t()
    sigfillset(&set)
    for signal in own { sigdelset(&set, signal) }
    return set
  }

  /// Starts the node.
  ///
  /// - Parameter command: The program and its arguments.
  /// - Throws: ``Failure``.
  init(_ command: [String]) throws(Failure) {
    // From here on no signal is lost: those that arrive before the node has started are passed on afterward.
    var awaited = Self.awaited
    pthread_sigmask(SIG_BLOCK, &awaited, nil)
    signal(SIGPIPE, SIG_IGN)
    // Where a launcher has it ignored, the kernel would reap the node, and nobody would hear of its end.
    signal(SIGCHLD, SIG_DFL)
    // A process without a job control terminal may stop when it gives the terminal to its child.
    signal(SIGTTOU, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failure(code: 126, description: "no pipe: \(String(cString: strerror(errno)))") }
    readingEnd = ends[0]
    // The writing end stays open over the exec; the node marks it as its own.
    _ = fcntl(readingEnd, F_SETFD, FD_CLOEXEC)
    _ = fcntl(readingEnd, F_SETFL, O_NONBLOCK)
    defer { close(ends[1]) }
    process = try Self.start(command, writingEnd: ends[1])
    hasTerminal = isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp()
    if hasTerminal { tcsetpgrp(STDIN_FILENO, process) }
  }

  private static func start(_ command: [String], writingEnd: Int32) throws(Failure) -> pid_t {
    var attributes = SpawnAttributes()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = Signals.set([])
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    // A group of its own: a terminal's signals would else reach the node twice.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    setenv(WitnessChannel.variable, "\(writingEnd)", 1)
    defer { unsetenv(WitnessChannel.variable) }
    var process: pid_t = 0
    let arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let error = posix_spawnp(&process, command[0], nil, &attributes, arguments, environ)
    guard error == 0 else {
      throw Failure(code: error == ENOENT ? 127 : 126, description: "\(command[0]) cannot be started: \(String(cString: strerror(error)))")
    }
    return process
  }

  // MARK: Its life

  /// Passes signals on to the node and reaps other children until the node has ended.
  ///
  /// - Returns: How the node ended, by the kernel's word.
  func waitForEnd() -> MemberEnd.Cause {
    var awaited = Self.awaited
    while true {
      if let end = reap() { return end }
      var signal: Int32 = 0
      guard sigwait(&awaited, &signal) == 0, signal != SIGCHLD else { continue }
      kill(process, signal)
    }
  }

  /// Reaps all children that have ended: orphans become children of the first process of a container.
  private func reap() -> MemberEnd.Cause? {
    var status: Int32 = 0
    while true {
      let ended = waitpid(-1, &status, WNOHANG)
      if ended <= 0 { return nil }
      guard ended == process else { continue }
      let signal = status & 0x7F
      return signal == 0 ? .status(status >> 8 & 0xFF) : .signal(signal)
    }
  }

  /// Gives the terminal back to the group of this process, where the next command of a script expects it.
  func returnTerminal() {
    if hasTerminal { tcsetpgrp(STDIN_FILENO, getpgrp()) }
  }

  /// Reaps orphans once more.
  func reapOthers() { _ = reap() }

  /// The node's orders; nil if it gave none, or has discharged its witness.
  ///
  /// The pipe holds them meanwhile: a node says a single line, which is shorter than a pipe's buffer.
  var orders: [UInt8]? {
    var inbox = WitnessInbox()
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = read(readingEnd, &buffer, buffer.count)
      if count > 0 { inbox.append(buffer.prefix(count)) } else if count == 0 || errno != EINTR { break }
    }
    return inbox.isDischarged ? nil : inbox.orders
  }
}

#if canImport(Darwin)
private typealias SpawnAttributes = posix_spawnattr_t?
#else
private typealias SpawnAttributes = posix_spawnattr_t
#endif
