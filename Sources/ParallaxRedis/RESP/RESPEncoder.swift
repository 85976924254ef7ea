import NIOCore

extension ByteBuffer {
  /// Writes a command as an array of bulk strings, the only form that every server accepts.
  mutating func write(_ command: RedisCommand) {
    writeHead(UInt8(ascii: "*"), command.arguments.count + 1)
    writeBulkString(command.name)
    for argument in command.arguments { writeBulkString(argument) }
  }

  private mutating func writeBulkString(_ argument: RedisArgument) {
    switch argument.storage {
    case .string(let string): writeBulkString(string)
    case .buffer(let buffer):
      writeHead(UInt8(ascii: "$"), buffer.readableBytes)
      writeImmutableBuffer(buffer)
      writeLineEnd()
    case .bytes(let bytes):
      writeHead(UInt8(ascii: "$"), bytes.count)
      writeBytes(bytes)
      writeLineEnd()
    case .integer(let value):
      let digits = Self.decimalLength(value)
      writeHead(UInt8(ascii: "$"), digits)
      writeDecimal(value)
      writeLineEnd()
    }
  }

  @inline(__always)
  private mutating func writeBulkString(_ string: String) {
    writeHead(UInt8(ascii: "$"), string.utf8.count)
    writeString(string)
    writeLineEnd()
  }

  @inline(__always)
  private mutating func writeHead(_ type: UInt8, _ count: Int) {
    if count < 10 {
      // The commonest head in one store: type, digit, CR, LF.
      writeInteger(UInt32(type) << 24 | UInt32(0x30 + count) << 16 | 0x0D0A)
    } else {
      writeInteger(type)
      writeDecimal(Int64(count))
      writeLineEnd()
    }
  }

  @inline(__always)
  private mutating func writeLineEnd() {
    writeInteger(UInt16(0x0D0A))
  }

  private mutating func writeDecimal(_ value: Int64) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var first = digits.count
      var rest = value.magnitude
      repeat {
        first -= 1
        digits[first] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
        rest /= 10
      } while rest > 0
      if value < 0 {
        first -= 1
        digits[first] = UInt8(ascii: "-")
      }
      writeBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[first...]))
    }
  }

  private static func decimalLength(_ value: Int64) -> Int {
    var length = value < 0 ? 2 : 1
    var rest = value.magnitude / 10
    while rest > 0 {
      length += 1
      rest /= 10
    }
    return length
  }
}
