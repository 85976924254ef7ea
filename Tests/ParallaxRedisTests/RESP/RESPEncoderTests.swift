import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("RESP encoder")
struct RESPEncoderTests {
  private static func encode(_ command: RedisCommand) -> String {
    var buffer = ByteBuffer()
    buffer.write(command)
    return String(buffer: buffer)
  }

  @Test("A command is an array of bulk strings")
  func command() {
    #expect(Self.encode(RedisCommand("PING")) == "*1\r\n$4\r\nPING\r\n")
    #expect(
      Self.encode(RedisCommand("set", "k", ByteBuffer(string: "v\r\n"), [UInt8(0x21)], -12))
        == "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv\r\n\r\n$1\r\n!\r\n$3\r\n-12\r\n")
  }

  @Test("Commands written together stand one after the other", arguments: 0...3)
  func commands(count: Int) {
    let commands = (0..<count).map { RedisCommand("SET", "key \($0)", String(repeating: "v", count: 40 * $0), $0) }
    var buffer = ByteBuffer(string: "before ")
    let isWritten = buffer.write(commands)
    #expect(isWritten)
    #expect(String(buffer: buffer) == "before " + commands.map(Self.encode).joined())
    var other = ByteBuffer()
    for command in commands {
      let isWritten = other.write(CollectionOfOne(command))
      #expect(isWritten)
    }
    #expect(String(buffer: other) == commands.map(Self.encode).joined())
  }

  @Test("Lengths of any number of digits are right", arguments: [0, 9, 10, 99, 100, 12_345])
  func lengths(length: Int) {
    let value = String(repeating: "x", count: length)
    #expect(Self.encode(RedisCommand("ECHO", value)) == "*2\r\n$4\r\nECHO\r\n$\(length)\r\n\(value)\r\n")
  }

  @Test("Integers of any size are right", arguments: [0, 9, -9, 10, 1_234_567, Int64.max, .min])
  func integers(value: Int64) {
    let text = "\(value)"
    #expect(Self.encode(RedisCommand("ECHO", value)) == "*2\r\n$4\r\nECHO\r\n$\(text.utf8.count)\r\n\(text)\r\n")
  }

  @Test("Encoded strings decode to the same strings")
  func roundTrip() throws {
    var decoder = RESPDecoder()
    var buffer = ByteBuffer()
    buffer.write(RedisCommand("X", UInt64.max, 1.5, "ü", Substring("sub"), RedisArgument("a")))
    decoder.feed(buffer)
    #expect(try decoder.next()?.array?.map(\.string) == ["X", "18446744073709551615", "1.5", "ü", "sub", "a"])
  }
}
