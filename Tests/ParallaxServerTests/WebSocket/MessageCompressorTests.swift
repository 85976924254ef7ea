import NIOCore
import Testing

@testable import ParallaxServer

@Suite struct MessageCompressorTests {
  private let compressor = MessageCompressor()

  private func inflate(_ bytes: [UInt8], limit: Int = 1_000) -> (outcome: MessageCompressor.Outcome, text: String) {
    let (outcome, message) = compressor.inflate(ByteBuffer(bytes: bytes), limit: limit)
    return (outcome, String(buffer: message))
  }

  /// Bytes that have no pattern.
  private func noise(_ count: Int) -> [UInt8] {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    return (0..<count).map { _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(truncatingIfNeeded: state >> 32)
    }
  }

  /// Section 7.2.3 of RFC 7692: with one block, without compression, with a final block, with two blocks.
  @Test(
    arguments: [
      [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
      [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
      // A final block without the octet that the RFC demands behind it, and a final block whose end is removed like a flush's.
      [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x04],
    ] as [[UInt8]])
  func `The examples of the RFC are read`(bytes: [UInt8]) {
    #expect(inflate(bytes) == (.whole, "Hello"))
  }

  @Test func `An empty message is one octet`() {
    #expect(inflate([0x00]) == (.whole, ""))
    #expect(inflate([]).outcome == .invalid)
  }

  @Test(
    arguments: [
      [0xF2, 0x48, 0xCD, 0xC9, 0xC9], [0xF2], [0x07, 0x00], [0xFF, 0xFF], [0x00, 0x06, 0x00, 0xF9, 0xFF, 0x48],
      // A distance beyond the beginning of the message: there is no earlier message to refer to.
      [0xF2, 0x00, 0x11, 0x00, 0x00],
    ] as [[UInt8]])
  func `Bytes that are cut or no DEFLATE are refused`(bytes: [UInt8]) {
    #expect(inflate(bytes).outcome == .invalid)
    #expect(inflate([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]) == (.whole, "Hello"), "the next message is read again")
  }

  @Test(arguments: [64, 1_000, 65_536, 3_000_000])
  func `What is compressed is read again, whatever the peer's window`(size: Int) throws {
    let text = ByteBuffer(string: String(repeating: #"{"name":"value","number":12345}"#, count: size / 31 + 1))
    for bits: Int32 in [9, 15, 12, 15] {
      let compressed = try #require(compressor.deflate(text, windowBits: bits))
      #expect(compressed.readableBytes < text.readableBytes / 2 + 32)
      #expect(compressed.storageCapacity < 2 * compressed.readableBytes + 64, "no room is kept for what compression has saved")
      let (outcome, message) = compressor.inflate(compressed, limit: text.readableBytes)
      #expect(outcome == .whole && message == text)
    }
  }

  @Test func `A message that does not become smaller is not compressed`() {
    #expect(compressor.deflate(ByteBuffer(bytes: noise(5_000)), windowBits: 15) == nil)
    #expect(compressor.deflate(ByteBuffer(string: "abcd"), windowBits: 15) == nil)
    #expect(compressor.deflate(ByteBuffer(), windowBits: 15) == nil)
  }

  @Test func `No distance exceeds the peer's window`() throws {
    let block = noise(1_000)
    let twice = ByteBuffer(bytes: block + block)
    #expect(compressor.deflate(twice, windowBits: 9) == nil)
    #expect(try #require(compressor.deflate(twice, windowBits: 15)).readableBytes < 1_200)
  }

  @Test func `A message is decompressed up to the limit and no further`() throws {
    let zeros = ByteBuffer(repeating: 0, count: 64 << 20)
    let bomb = try #require(compressor.deflate(zeros, windowBits: 15))
    #expect(bomb.readableBytes < 512 << 10)
    let (outcome, message) = compressor.inflate(bomb, limit: 1 << 20)
    #expect(outcome == .tooLong && message.readableBytes == 1 << 20)
    #expect(message.storageCapacity <= 2 << 20)
  }

  @Test func `The limit itself is not too long`() throws {
    let text = ByteBuffer(string: String(repeating: "limit ", count: 1_000))
    let compressed = try #require(compressor.deflate(text, windowBits: 15))
    #expect(compressor.inflate(compressed, limit: 6_000).outcome == .whole)
    #expect(compressor.inflate(compressed, limit: 5_999).outcome == .tooLong)
  }

  @Test func `All messages together take the memory of one, and none before the first`() throws {
    #expect(compressor.memory.bytes == 0)
    let text = ByteBuffer(string: String(repeating: "message ", count: 10_000))
    let compressed = try #require(compressor.deflate(text, windowBits: 15))
    _ = compressor.inflate(compressed, limit: 100_000)
    let taken = compressor.memory.bytes
    #expect((64 << 10..<512 << 10).contains(taken), "the two windows, and what zlib needs beside them")
    for bits: Int32 in 9...15 {
      _ = compressor.deflate(text, windowBits: bits)
      _ = compressor.inflate(compressed, limit: 1_000)
      #expect(compressor.memory.bytes <= taken)
    }
  }

  @Test func `zlib gets no memory beyond the limit, and leaves none behind`() {
    let memory = ZlibMemory(limit: 4_096)
    #expect(ZlibStream(.inflate, memory: memory) == nil)
    #expect(ZlibStream(.deflate(level: 1, windowBits: 15), memory: memory) == nil)
    #expect(memory.bytes == 0)
    let enough = ZlibMemory(limit: 1 << 20)
    var stream = ZlibStream(.inflate, memory: enough)
    #expect(stream != nil && enough.bytes > 4_096)
    stream = nil
    #expect(enough.bytes == 0)
  }
}
