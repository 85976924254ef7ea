import NIOCore

@testable import ParallaxRedis

extension RedisCommand {
  /// What is sent, as words with spaces between.
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

/// What is sent, with a `!` before it if it is idempotent.
func sent(_ command: RedisTypedCommand<some Any>) -> String {
  (command.command.isIdempotent ? "!" : "") + command.command.words
}

/// The text of the error that a reply makes.
func mismatch(_ command: RedisTypedCommand<some Any>, _ reply: RESPValue) -> String? {
  do {
    _ = try command.reply(from: reply)
    return nil
  } catch {
    return error.description
  }
}
