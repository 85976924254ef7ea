import Synchronization

/// The scripts that every new connection loads before its first command: the scripts given at the start, and scripts that a server lacked.
final class KnownScripts: Sendable {
  /// More scripts than a program has are made at run time, and not worth loading again.
  private static let maximum = 256

  private let scripts: Mutex<[RedisScript]>

  init(_ scripts: [RedisScript]) {
    self.scripts = Mutex(scripts)
  }

  var all: [RedisScript] { scripts.withLock { $0 } }

  /// Remembers a script that a server did not know.
  func learn(_ script: RedisScript) {
    scripts.withLock { scripts in
      if scripts.count < Self.maximum, !scripts.contains(script) { scripts.append(script) }
    }
  }
}
