#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Signals without handlers: they are blocked, and asked for.
enum Signals {
  static func set(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    return set
  }

  /// Blocks signals in this thread and all that it starts.
  static func block(_ signals: [Int32]) {
    var set = set(signals)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Whether a blocked signal has arrived.
  static func isPending(_ signal: Int32) -> Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return sigismember(&pending, signal) == 1
  }

  /// Forgets that a blocked signal has arrived.
  static func forget(_ number: Int32) {
    signal(number, SIG_IGN)
    signal(number, SIG_DFL)
  }

  /// Gives a signal its default effect again.
  static func restoreDefault(_ number: Int32) {
    signal(number, SIG_DFL)
    var set = set([number])
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }
}
