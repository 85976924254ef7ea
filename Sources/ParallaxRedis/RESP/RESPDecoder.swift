import NIOCore

/// Decodes replies from bytes in chunks of any size.
///
/// A reply that is complete in the buffer is read in one pass. For an incomplete reply the open aggregates are kept on a stack, so that no
/// element is read twice, however small the chunks are.
struct RESPDecoder {
  private struct Frame {
    let kind: RESPAggregate
    var missing: Int
    var elements: [RESPValue]
  }

  private static let largeLength = 64 << 10

  private let limits: RESPLimits
  private var buffer = ByteBuffer()
  private var stack: [Frame] = []
  /// The bytes of the current reply that were already read into frames.
  private var consumed = 0
  /// The number of elements that the current reply may still announce.
  private var spare: Int
  /// Whether the single pass over the current bytes has found an incomplete reply.
  private var isPartial = false

  init(limits: RESPLimits = RESPLimits()) {
    var limits = limits
    limits.stringLength = min(limits.stringLength, RESPLimits.longestString)
    self.limits = limits
    spare = limits.elements
  }

  /// Adds received bytes.
  mutating func feed(_ chunk: ByteBuffer) {
    isPartial = false
    if buffer.readableBytes == 0 {
      // Elements of the incomplete reply retain their chunks, so a chunk must not be much larger than its content.
      let isSparse = !stack.isEmpty && chunk.storageCapacity > 4 * max(chunk.readableBytes, 64)
      buffer = isSparse ? Self.copy(of: chunk) : chunk
      return
    }
    if buffer.readerIndex > 0 {
      // Callers' replies share the storage, so appending would copy all of it.
      buffer = Self.copy(of: buffer, reserving: chunk.readableBytes)
    }
    buffer.writeImmutableBuffer(chunk)
  }

  private static func copy(of bytes: ByteBuffer, reserving more: Int = 0) -> ByteBuffer {
    var copy = ByteBuffer()
    copy.reserveCapacity(bytes.readableBytes + more)
    copy.writeImmutableBuffer(bytes)
    return copy
  }

  /// Counts a reply or token as read.
  @inline(__always)
  private mutating func advance(by length: Int) {
    buffer.moveReaderIndex(forwardBy: length)
    // Later bytes must not retain a large string. The copy is no longer than the bytes just read, so the time stays linear.
    if length > Self.largeLength, buffer.readableBytes < length { buffer = Self.copy(of: buffer) }
  }

  /// The next reply, or `nil` if more bytes are needed.
  ///
  /// After an error the decoder must not be used.
  mutating func next() throws(RESPDecodingError) -> RESPValue? {
    var next: RESPValue?
    try forEachReply { reply in
      next = reply
      return false
    }
    return next
  }

  /// Passes the complete replies to the body, in order, until it returns `false`; the rest stays for the next call.
  ///
  /// After an error the decoder must not be used; the replies before the error have been passed on.
  mutating func forEachReply(_ body: (consuming RESPValue) -> Bool) throws(RESPDecodingError) {
    while buffer.readableBytes > 0 {
      if stack.isEmpty, consumed == 0, !isPartial {
        guard try readContiguous(body) else { return }
      } else {
        guard let reply = try readIncrementally(), body(reply) else { return }
      }
    }
    buffer = ByteBuffer()
  }

  // MARK: One pass

  /// Reads replies until the bytes end or the body returns `false`; returns the last value of the body.
  private mutating func readContiguous(_ body: (consuming RESPValue) -> Bool) throws(RESPDecodingError) -> Bool {
    let (length, isPartial, goesOn) = try buffer.withUnsafeReadableBytes { [buffer, limits] bytes throws(RESPDecodingError) in
      var reader = RESPTokenReader(bytes: bytes, buffer: buffer, limits: limits, spare: limits.elements)
      while reader.position < bytes.count {
        let start = reader.position
        reader.beginReply()
        guard let reply = try Self.value(from: &reader, depth: 0, end: start + limits.replyLength) else { return (start, true, true) }
        guard body(reply) else { return (reader.position, false, false) }
        // The replies behind a large one must not share its memory.
        if reader.position - start > Self.largeLength { break }
      }
      return (reader.position, false, true)
    }
    self.isPartial = isPartial
    advance(by: length)
    return goesOn
  }

  private static func value(from reader: inout RESPTokenReader, depth: Int, end: Int) throws(RESPDecodingError) -> RESPValue? {
    while true {
      switch try reader.next(before: end) {
      case nil: return nil
      case .value(let value): return value
      case .aggregate(let kind, let count):
        try check(kind, depth: depth, limit: reader.limits.depth)
        guard let elements = try elements(from: &reader, count: count, depth: depth + 1, end: end) else { return nil }
        if kind != .attribute { return kind.value(of: elements) }
      }
    }
  }

  private static func elements(
    from reader: inout RESPTokenReader, count: Int, depth: Int, end: Int
  ) throws(RESPDecodingError) -> [RESPValue]? {
    // Every element has at least three bytes, so memory is reserved only for as many elements as the bytes can contain.
    reader.owed += count
    guard reader.owed * 3 <= reader.bytes.count - reader.position else { return nil }
    var elements: [RESPValue] = []
    elements.reserveCapacity(count)
    // As `value`, but without a call for scalars, of which most elements consist.
    for _ in 0..<count {
      reader.owed -= 1
      element: while true {
        switch try reader.next(before: end) {
        case nil: return nil
        case .value(let value):
          elements.append(value)
          break element
        case .aggregate(let kind, let count):
          try check(kind, depth: depth, limit: reader.limits.depth)
          guard let inner = try Self.elements(from: &reader, count: count, depth: depth + 1, end: end) else { return nil }
          if kind == .attribute { continue }
          elements.append(kind.value(of: inner))
          break element
        }
      }
    }
    return elements
  }

  @inline(__always)
  private static func check(_ kind: RESPAggregate, depth: Int, limit: Int) throws(RESPDecodingError) {
    if depth >= limit { throw .tooDeep }
    if kind == .push, depth > 0 { throw .misplacedPush }
  }

  // MARK: With a stack

  private mutating func readIncrementally() throws(RESPDecodingError) -> RESPValue? {
    while let token = try nextToken() {
      var value: RESPValue
      switch token {
      case .value(let scalar): value = scalar
      case .aggregate(let kind, let count):
        try Self.check(kind, depth: stack.count, limit: limits.depth)
        if count > 0 {
          stack.append(Frame(kind: kind, missing: count, elements: []))
          continue
        }
        if kind == .attribute { continue }
        value = kind.value(of: [])
      }
      if let reply = complete(&value) {
        consumed = 0
        spare = limits.elements
        return reply
      }
    }
    return nil
  }

  private mutating func nextToken() throws(RESPDecodingError) -> RESPToken? {
    let end = limits.replyLength - consumed
    let (token, length, spare) = try buffer.withUnsafeReadableBytes { [buffer, limits, spare] bytes throws(RESPDecodingError) in
      var reader = RESPTokenReader(bytes: bytes, buffer: buffer, limits: limits, spare: spare)
      let token = try reader.next(before: end)
      return (token, reader.position, reader.spare)
    }
    guard let token else { return nil }
    self.spare = spare
    consumed += length
    advance(by: length)
    return token
  }

  /// Adds a value to the innermost frame and closes the completed frames; returns the reply when no frame is left.
  private mutating func complete(_ value: inout RESPValue) -> RESPValue? {
    while let top = stack.indices.last {
      stack[top].elements.append(value)
      stack[top].missing -= 1
      if stack[top].missing > 0 { return nil }
      let frame = stack.removeLast()
      if frame.kind == .attribute { return nil }
      value = frame.kind.value(of: frame.elements)
    }
    return value
  }
}
