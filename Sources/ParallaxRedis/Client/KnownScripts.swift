import Synchronization

/// The scripts that every new connection loads before its first command: those of the initializer, and those that a server lacked.
final class KnownScripts: Sendable {
  /// The number of scripts that are remembered: a program with more of them generates scripts, which are not reused.
  private static let maximum = 256

  private let scripts: Mutex<[RedisScript]>

  init(_ scripts: [RedisScript]) {
    self.scripts = Mutex(scripts)
  }

  var all: [RedisScript] { scripts.withLock { $0 } }

  /// Remembers a script that a server lacked.
  func learn(_ script: RedisScript) {
    scripts.withLock { scripts in
      if scripts.count < Self.maximum, !scripts.contains(script) { scripts.append(script) }
    }
  }
}
