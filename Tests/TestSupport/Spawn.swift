package import Foundation

/// Starts a program with its own working folder and output files, and without blocked signals.
///
/// Foundation's `Process` passes on the signal mask of the calling thread; on a Dispatch thread the mask blocks SIGTERM, which the child
/// would then ignore.
package func spawn(
  _ executable: URL, _ arguments: [String], environment: [String: String], folder: URL, input: String, output: String, errorOutput: String
) throws -> pid_t {
  var actions = SpawnFileActions()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errorOutput, O_WRONLY | O_CREAT | O_APPEND, 0o600)

  var attributes = SpawnAttributes()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var none = sigset_t()
  sigemptyset(&none)
  var all = sigset_t()
  sigfillset(&all)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setsigdefault(&attributes, &all)
  posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

  closeDescriptorsOnExec()
  // Swift does not import the C library's function for the working folder. The shell replaces itself, so the program has its process id.
  let command = ["/bin/sh", "-c", #"cd "$1" && shift && exec "$@""#, "sh", folder.path, executable.path] + arguments
  var pid: pid_t = 0
  let error = withCStrings(command) { argumentPointers in
    withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environmentPointers in
      posix_spawn(&pid, command[0], &actions, &attributes, argumentPointers, environmentPointers)
    }
  }
  guard error == 0 else { throw ProcessFailure("\(executable.path) could not be started: \(String(cString: strerror(error)))") }
  return pid
}

/// Marks all open descriptors to be closed in child processes.
///
/// SwiftNIO leaves its sockets open over an exec, so that a connection would outlive its close in every program started meanwhile.
func closeDescriptorsOnExec() {
  for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
    if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
  }
}

#if canImport(Darwin)
private typealias SpawnFileActions = posix_spawn_file_actions_t?
private typealias SpawnAttributes = posix_spawnattr_t?
#else
private typealias SpawnFileActions = posix_spawn_file_actions_t
private typealias SpawnAttributes = posix_spawnattr_t
#endif

private func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
  let pointers = texts.map { strdup($0) }
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers + [nil])
}
