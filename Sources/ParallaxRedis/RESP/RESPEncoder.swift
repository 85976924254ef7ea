import NIOCore

extension ByteBuffer {
  /// Writes a command as an array of bulk strings, the only form that every server accepts.
  mutating func write(_ command: RedisCommand) {
    write(command, room: command.longestEncoding)
  }

  /// Writes commands one after the other into room that is reserved once; writes none if the buffer cannot hold all.
  ///
  /// - Returns: Whether the commands were written.
  mutating func write(_ commands: some Collection<RedisCommand>) -> Bool {
    if commands.count == 1, let command = commands.first {
      let room = command.longestEncoding
      guard canHave(room) else { return false }
      write(command, room: room)
      return true
    }
    let isWritten = commands.withContiguousStorageIfAvailable { commands in
      var room = 0
      // By index, because an iterator would retain and release each command.
      for index in commands.indices { room += commands[index].longestEncoding }
      guard canHave(room) else { return false }
      writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
        var writer = RESPWriter(memory: memory)
        for index in commands.indices { writer.write(commands[index]) }
        return writer.position
      }
      return true
    }
    return isWritten ?? write(Array(commands))
  }

  /// Whether the buffer can hold this number of further bytes: a buffer beyond its index type would trap.
  private func canHave(_ room: Int) -> Bool { writerIndex + room <= Int(UInt32.max) }

  private mutating func write(_ command: RedisCommand, room: Int) {
    writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
      var writer = RESPWriter(memory: memory)
      writer.write(command)
      return writer.position
    }
  }
}

extension RedisCommand {
  /// The maximum encoded length of the command in bytes.
  fileprivate var longestEncoding: Int {
    var length = 2 * RESPWriter.longestFrame + name.utf8.count
    for index in arguments.indices { length += RESPWriter.longestFrame + arguments[index].longestText }
    return length
  }
}

extension RedisArgument {
  fileprivate var longestText: Int {
    switch storage {
    case .string(let string): string.utf8.count
    case .buffer(let buffer): buffer.readableBytes
    case .bytes(let bytes): bytes.count
    case .integer: RESPWriter.longestInteger
    }
  }
}

/// Writes into memory that is large enough for the whole command, so that no step has to check or grow it.
private struct RESPWriter {
  /// The length of a sign and all digits of a number.
  static let longestInteger = 20
  /// The length of a type, a count and two line ends.
  static let longestFrame = longestInteger + 5

  let memory: UnsafeMutableRawBufferPointer
  var position = 0

  init(memory: UnsafeMutableRawBufferPointer) {
    self.memory = memory
  }

  @inline(__always)
  mutating func write(_ command: borrowing RedisCommand) {
    writeHead(UInt8(ascii: "*"), command.arguments.count + 1)
    writeBulkString(command.name)
    command.arguments.withUnsafeBufferPointer { arguments in
      for index in arguments.indices { writeBulkString(arguments[index]) }
    }
  }

  @inline(__always)
  private mutating func writeBulkString(_ argument: RedisArgument) {
    switch argument.storage {
    case .string(let string): writeBulkString(string)
    case .buffer(let buffer): buffer.withUnsafeReadableBytes { writeBulkString($0) }
    case .bytes(let bytes): bytes.withUnsafeBytes { writeBulkString($0) }
    case .integer(let value):
      withUnsafeTemporaryAllocation(byteCount: Self.longestInteger, alignment: 1) { digits in
        writeBulkString(UnsafeRawBufferPointer(rebasing: digits[Self.decimal(value, into: digits)...]))
      }
    }
  }

  @inline(__always)
  private mutating func writeBulkString(_ string: String) {
    if string.utf8.withContiguousStorageIfAvailable({ writeBulkString(UnsafeRawBufferPointer($0)) }) == nil {
      var copy = string
      copy.withUTF8 { writeBulkString(UnsafeRawBufferPointer($0)) }
    }
  }

  @inline(__always)
  private mutating func writeBulkString(_ bytes: UnsafeRawBufferPointer) {
    writeHead(UInt8(ascii: "$"), bytes.count)
    append(bytes)
    memory.storeBytes(of: UInt16(0x0D0A).bigEndian, toByteOffset: position, as: UInt16.self)
    position += 2
  }

  @inline(__always)
  private mutating func writeHead(_ type: UInt8, _ count: Int) {
    // The most frequent heads need one or two stores: type, one or two digits, CR, LF.
    if count < 10 {
      let head = UInt32(type) << 24 | UInt32(truncatingIfNeeded: 0x30 &+ count) << 16 | 0x0D0A
      memory.storeBytes(of: head.bigEndian, toByteOffset: position, as: UInt32.self)
      position += 4
    } else if count < 100 {
      let (tens, ones) = count.quotientAndRemainder(dividingBy: 10)
      let head = UInt32(type) << 24 | UInt32(truncatingIfNeeded: 0x3030 &+ tens << 8 &+ ones) << 8 | 0x0D
      memory.storeBytes(of: head.bigEndian, toByteOffset: position, as: UInt32.self)
      memory.storeBytes(of: 0x0A, toByteOffset: position + 4, as: UInt8.self)
      position += 5
    } else {
      writeLongHead(type, count)
    }
  }

  private mutating func writeLongHead(_ type: UInt8, _ count: Int) {
    memory[position] = type
    position += 1
    withUnsafeTemporaryAllocation(byteCount: Self.longestInteger, alignment: 1) { digits in
      append(UnsafeRawBufferPointer(rebasing: digits[Self.decimal(Int64(count), into: digits)...]))
    }
    memory.storeBytes(of: UInt16(0x0D0A).bigEndian, toByteOffset: position, as: UInt16.self)
    position += 2
  }

  @inline(__always)
  private mutating func append(_ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count <= memory.count - position, "a command is longer than its computed maximum")
    if let target = memory.baseAddress, let source = bytes.baseAddress {
      (target + position).copyMemory(from: source, byteCount: bytes.count)
    }
    position += bytes.count
  }

  /// Writes a number at the end of some memory; returns the beginning of the text.
  private static func decimal(_ value: Int64, into digits: UnsafeMutableRawBufferPointer) -> Int {
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
    return first
  }
}
