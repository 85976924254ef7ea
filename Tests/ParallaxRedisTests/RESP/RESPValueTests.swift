import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("RESP values")
struct RESPValueTests {
  private static func bulk(_ string: String) -> RESPValue { .bulkString(ByteBuffer(string: string)) }

  @Test("A map is read from both protocols; the last of equal keys applies")
  func maps() {
    let flat = [Self.bulk("a"), .integer(1), Self.bulk("b"), .integer(2), Self.bulk("a"), .integer(3)]
    #expect(RESPValue.map(flat).map == ["a": .integer(3), "b": .integer(2)])
    #expect(RESPValue.array(flat).map == ["a": .integer(3), "b": .integer(2)])
    #expect(RESPValue.array([.integer(1)]).map == nil)
    #expect(RESPValue.array([.null, .integer(1)]).map == nil)
    #expect(RESPValue.map(flat).array == flat)
  }

  @Test("Numbers are read from numbers and from strings")
  func numbers() {
    #expect(RESPValue.integer(5).int == 5)
    #expect(Self.bulk("-5").int == -5)
    #expect(Self.bulk("five").int == nil)
    #expect(RESPValue.double(1.5).double == 1.5)
    #expect(Self.bulk("1.5").double == 1.5)
    for text in ["0x10", "infinity", "1\0", "1\0x", " 1", ""] { #expect(Self.bulk(text).double == nil) }
    for text in ["inf", "+inf", "-inf"] { #expect(Self.bulk(text).double?.isInfinite == true) }
    #expect(Self.bulk("-nan").double?.isNaN == true)
    #expect(RESPValue.integer(1).bool == true)
    #expect(RESPValue.boolean(false).bool == false)
    #expect(RESPValue.integer(2).bool == nil)
  }

  @Test("Errors have a message and bytes but no text, and null has nothing")
  func errorsAndNull() {
    let error = RESPValue.error(ByteBuffer(string: "ERR no"))
    #expect(error.errorMessage == "ERR no")
    #expect(error.string == nil)
    #expect(RESPValue.null.isNull)
    #expect(RESPValue.null.string == nil && RESPValue.null.bytes == nil && RESPValue.null.array == nil)
  }
}
