import Crypto
import ParallaxText

/// A Lua script, identified by the SHA-1 of its source, which is computed once.
///
/// Create scripts once, as static constants; pass them to ``RedisClient/init(configuration:scripts:eventLoopGroup:clock:logger:)`` so that
/// every new connection loads them before the first command.
public struct RedisScript: Sendable, Hashable {
  private final class Storage: Sendable {
    let source: String
    let sha1: String

    init(source: String, sha1: String) {
      self.source = source
      self.sha1 = sha1
    }
  }

  private let storage: Storage

  /// The Lua source.
  public var source: String { storage.source }

  /// The SHA-1 of the source in lower-case hexadecimal, the script's name on the server.
  public var sha1: String { storage.sha1 }

  /// Creates a script of its Lua source.
  ///
  /// - Parameter source: The source; the server checks it when the script is loaded.
  public init(_ source: String) {
    storage = Storage(source: source, sha1: Hexadecimal.text(of: Insecure.SHA1.hash(data: Array(source.utf8))))
  }

  /// Whether the sources are equal.
  public static func == (left: RedisScript, right: RedisScript) -> Bool {
    left.storage === right.storage || left.sha1 == right.sha1
  }

  /// Hashes the SHA-1 of the source.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(sha1)
  }
}
