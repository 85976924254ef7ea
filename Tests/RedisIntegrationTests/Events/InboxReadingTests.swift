import ParallaxRedis
import ParallaxState
import Testing

@testable import ParallaxRedisStores

/// What a receiver asks its stream for when a connection has broken; needs no server.
@Suite struct InboxReadingTests {
  private static let lost = RedisError(.unknownOutcome, command: "XREADGROUP", message: "The connection was lost.")
  private static let noGroup = RedisError(
    .serverError, command: "XREADGROUP", message: "The server refused the command.", serverMessage: "NOGROUP No such key")

  /// A receiver that has handled all there was and waits for what is new.
  private func waiting() throws -> InboxReading {
    var reading = InboxReading(key: "inbox", limit: 10)
    #expect(start(of: reading) == "0")
    #expect(try reading.received([.success(.null)]).isEmpty)
    #expect(start(of: reading) == ">")
    return reading
  }

  /// From where the next read goes on: `0` for what was handed out before, `>` for what is new.
  private func start(of reading: InboxReading) -> RedisArgument? { reading.next.last?.arguments.last }

  private func names(_ commands: [RedisCommand]) -> [String] { commands.map(\.name) }

  @Test func `What was handed out on a connection that broke is asked for first`() throws {
    var reading = try waiting()
    #expect(reading.failed(Self.lost) > .zero)
    #expect(start(of: reading) == "0")
  }

  @Test func `What was handled before a connection broke is taken out on the next one`() throws {
    var reading = try waiting()
    reading.didHandle([ReceivedNodeMessage(position: "1-0", message: nil)])
    _ = reading.failed(Self.lost)
    #expect(names(reading.next) == ["XACK", "XDEL", "XREADGROUP"])
    _ = try reading.received([.success(.null), .success(.null), .success(.null)])
    #expect(names(reading.next) == ["XREADGROUP"])
  }

  @Test func `Positions in a stream that is gone are forgotten with it`() throws {
    var reading = try waiting()
    reading.didHandle([ReceivedNodeMessage(position: "1-0", message: nil)])
    _ = reading.failed(Self.noGroup)
    #expect(names(reading.next) == ["XREADGROUP"])
  }
}
