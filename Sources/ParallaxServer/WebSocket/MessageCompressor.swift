import CParallaxZlib
import NIOCore

/// Compresses and decompresses whole messages for all connections of one event loop (RFC 7692, section 7.2).
///
/// No message refers to an earlier one, so that a connection has no window of its own: all share one stream of each direction, which
/// ``memoryLimit`` bounds whatever the peers send.
final class MessageCompressor {
  enum Outcome: Equatable {
    case whole
    /// The message has more bytes than the limit; the rest was not decompressed.
    case tooLong
    case invalid
    /// zlib has no memory.
    case unavailable
  }

  /// The bytes that zlib may take: about 300 KiB by zlib itself, more by its reimplementations.
  static let memoryLimit = 1 << 20
  /// zlib's quickest level: the event loop, with all its connections, waits for the compression.
  private static let level: Int32 = 1
  /// What ends the flushed output of a compressor, and is not sent.
  private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

  let memory = ZlibMemory(limit: memoryLimit)
  private var deflater: ZlibStream?
  private var inflater: ZlibStream?

  /// The largest compressed form, in bytes, in which a message of this size may arrive: an eighth more for an encoder that gives each byte
  /// nine bits, and the frame of an empty block.
  static func largestCompressed(of size: Int) -> Int { size + size / 8 + 64 }

  /// The message compressed, for a peer with this window; nil if that would not be smaller.
  func deflate(_ message: ByteBuffer, windowBits: Int32) -> ByteBuffer? {
    guard let stream = deflater(windowBits: windowBits), message.readableBytes > Self.tail.count else { return nil }
    let count = message.readableBytes
    var output = ByteBufferAllocator().buffer(capacity: count)
    let isComplete = message.withUnsafeReadableBytes { source in
      stream.setInput(source)
      var status = Z_OK
      output.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { destination in
        stream.setOutput(destination, limit: count)
        status = CParallaxZlib.deflate(stream.state, Z_SYNC_FLUSH)
        return count - Int(stream.state.pointee.avail_out)
      }
      // Without room left, zlib may have kept bytes back.
      return status == Z_OK && stream.state.pointee.avail_out > 0
    }
    stream.forgetBuffers()
    guard isComplete, output.readableBytesView.suffix(Self.tail.count).elementsEqual(Self.tail) else { return nil }
    output.moveWriterIndex(to: output.writerIndex - Self.tail.count)
    output.shrinkBufferCapacity(to: output.readableBytes)
    return output
  }

  /// The message of these compressed bytes, at most `limit` bytes long; with another outcome than `whole`, its beginning.
  func inflate(_ compressed: ByteBuffer, limit: Int) -> (outcome: Outcome, message: ByteBuffer) {
    var message = ByteBuffer()
    guard let stream = resetInflater() else { return (.unavailable, message) }
    defer { stream.forgetBuffers() }
    var progress = compressed.withUnsafeReadableBytes { inflate($0, with: stream, into: &message, limit: limit) }
    // A compressor may end a message by a final block instead of a flush.
    if case .needsMore = progress { progress = Self.tail.withUnsafeBytes { inflate($0, with: stream, into: &message, limit: limit) } }
    switch progress {
    case .ended: return (.whole, message)
    // The message ends between two blocks: what is incomplete would have taken the tail for a part of it.
    case .needsMore: return (stream.state.pointee.data_type & Self.isBetweenBlocks != 0 ? .whole : .invalid, message)
    case .invalid: return (.invalid, message)
    case .tooLong:
      message.moveWriterIndex(to: message.readerIndex + limit)
      return (.tooLong, message)
    }
  }

  /// The flag in the `data_type` of a stream that stands behind a block, with no bit of the next one.
  private static let isBetweenBlocks: Int32 = 128
  /// The bytes that a message has room for at first, and that it grows by at least.
  private static let minimumRoom = 512

  private enum Progress {
    case needsMore
    /// The last byte was that of a final block.
    case ended
    case tooLong
    case invalid
  }

  private func inflate(_ source: UnsafeRawBufferPointer, with stream: ZlibStream, into message: inout ByteBuffer, limit: Int) -> Progress {
    stream.setInput(source)
    while true {
      // One byte beyond the limit tells a message that is too long from one that is just as long.
      let room = min(max(message.readableBytes, 2 * source.count, Self.minimumRoom), limit + 1 - message.readableBytes)
      var status = Z_OK
      message.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { destination in
        stream.setOutput(destination, limit: room)
        status = CParallaxZlib.inflate(stream.state, Z_SYNC_FLUSH)
        return room - Int(stream.state.pointee.avail_out)
      }
      guard message.readableBytes <= limit else { return .tooLong }
      let hasInput = stream.state.pointee.avail_in > 0
      switch status {
      case Z_STREAM_END:
        guard hasInput else { return .ended }
        stream.reset()
      case Z_OK, Z_BUF_ERROR:
        if stream.state.pointee.avail_out > 0 { return hasInput ? .invalid : .needsMore }
      default: return .invalid
      }
    }
  }

  private func deflater(windowBits: Int32) -> ZlibStream? {
    let kind = ZlibStream.Kind.deflate(level: Self.level, windowBits: windowBits)
    if let deflater, deflater.kind == kind {
      deflater.reset()
      return deflater
    }
    // The former one first, so that only one takes memory.
    deflater = nil
    deflater = ZlibStream(kind, memory: memory)
    return deflater
  }

  private func resetInflater() -> ZlibStream? {
    inflater?.reset()
    inflater = inflater ?? ZlibStream(.inflate, memory: memory)
    return inflater
  }
}

extension ZlibStream {
  fileprivate func setInput(_ bytes: UnsafeRawBufferPointer) {
    // zlib reads only; its type is that of a time without `const`.
    state.pointee.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
    state.pointee.avail_in = UInt32(bytes.count)
  }

  fileprivate func setOutput(_ bytes: UnsafeMutableRawBufferPointer, limit: Int) {
    state.pointee.next_out = bytes.bindMemory(to: UInt8.self).baseAddress
    state.pointee.avail_out = UInt32(limit)
  }

  /// Leaves no pointer behind into buffers that end with the call.
  fileprivate func forgetBuffers() {
    (state.pointee.next_in, state.pointee.avail_in) = (nil, 0)
    (state.pointee.next_out, state.pointee.avail_out) = (nil, 0)
  }
}
