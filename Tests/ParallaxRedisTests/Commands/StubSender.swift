import NIOCore
import ParallaxRedis
import Synchronization

/// Answers commands with prepared replies, and records the commands.
final class StubSender: RedisCommandSender {
  private let state: Mutex<(replies: [Result<RESPValue, RedisError>], sent: [RedisCommand])>

  init(_ replies: Result<RESPValue, RedisError>...) {
    state = Mutex((replies, []))
  }

  var sent: [String] { state.withLock { $0.sent.map(\.words) } }

  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    try answer([command])[0].get()
  }

  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    answer(commands)
  }

  private func answer(_ commands: [RedisCommand]) -> [Result<RESPValue, RedisError>] {
    state.withLock { state in
      state.sent += commands
      let replies = state.replies.prefix(commands.count)
      state.replies.removeFirst(replies.count)
      return Array(replies)
    }
  }
}

extension RESPValue {
  static func bulk(_ text: String) -> RESPValue { .bulkString(ByteBuffer(string: text)) }

  static func simple(_ text: String) -> RESPValue { .simpleString(ByteBuffer(string: text)) }
}
