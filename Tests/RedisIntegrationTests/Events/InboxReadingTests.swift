import ParallaxRedis
import ParallaxState
import Testing

@testable import ParallaxRedisStores

/// The reads of a receiver after the loss of a connection; needs no server.
@Suite struct InboxReadingTests {
  private static let lost = RedisError(.unknownOutcome, command: "XREADGROUP", message: "The connection was lost.")
  private static let noGroup = RedisError(
    .serverError, command: "XREADGROUP", message: "The server refused the command.", serverMessage: "NOGROUP No such key")

  /// A receiver that has handled all messages and waits for new ones.
  private func waiting() throws -> InboxReading {
    var reading = InboxReading(key: "inbox", limit: 10)
    #expect(start(of: reading) == "0")
    #expect(try reading.received([.success(.null)]).isEmpty)
    #expect(start(of: reading) == ">")
    return reading
  }

  /// The start of the next read: `0` for messages that were delivered before, `>` for new ones.
  private func start(of reading: InboxReading) -> RedisArgument? { reading.next.last?.arguments.last }

  private func names(_ commands: [RedisCommand]) -> [String] { commands.map(\.name) }

  @Test func `Messages that were delivered on a failed connection are read first`() throws {
    var reading = try waiting()
    #expect(reading.failed(Self.lost) > .zero)
    #expect(start(of: reading) == "0")
  }

  @Test func `Messages that were handled before a connection failed are removed on the next one`() throws {
    var reading = try waiting()
    reading.didHandle([ReceivedNodeMessage(position: "1-0", message: nil)])
    _ = reading.failed(Self.lost)
    #expect(names(reading.next) == ["XACK", "XDEL", "XREADGROUP"])
    _ = try reading.received([.success(.null), .success(.null), .success(.null)])
    #expect(names(reading.next) == ["XREADGROUP"])
  }

  @Test func `Positions in a deleted stream are dropped with it`() throws {
    var reading = try waiting()
    reading.didHandle([ReceivedNodeMessage(position: "1-0", message: nil)])
    _ = reading.failed(Self.noGroup)
    #expect(names(reading.next) == ["XREADGROUP"])
  }
}
