import NIOCore

@testable import ParallaxRedis

extension RedisCommand {
  /// The command as words separated by spaces.
  var words: String {
    let arguments = arguments.map { argument in
      switch argument.storage {
      case .string(let text): text
      case .buffer(let buffer): String(buffer: buffer)
      case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
      case .integer(let value): String(value)
      }
    }
    return ([name] + arguments).joined(separator: " ")
  }
}

/// The command, with a leading `!` if it is idempotent.
func sent(_ command: RedisTypedCommand<some Any>) -> String {
  (command.command.isIdempotent ? "!" : "") + command.command.words
}

/// The message of the error for a reply.
func mismatch(_ command: RedisTypedCommand<some Any>, _ reply: RESPValue) -> String? {
  do {
    _ = try command.reply(from: reply)
    return nil
  } catch {
    return error.description
  }
}
