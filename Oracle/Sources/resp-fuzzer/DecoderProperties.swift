import NIOCore

/// The properties of the decoder for any input.
///
/// The check traps at a violation, so that libFuzzer keeps the input.
struct DecoderProperties {
  /// The replies and the error of a decoder.
  private struct Outcome {
    var replies: [RESPValue] = []
    var error: RESPDecodingError?

    /// The replies as bytes, which unlike values compare equal for NaN.
    var encoded: ByteBuffer { ByteBuffer(encoding: replies) }
  }

  private static let tight = RESPLimits(depth: 3, lineLength: 12, stringLength: 24, elements: 6, replyLength: 72)
  /// The maximum of allocated bytes per byte of input.
  ///
  /// An array of one element takes twenty times its four bytes on the wire, and twice that while the array around it grows.
  private static let memoryPerByte = 48
  /// The maximum of allocated bytes for empty input.
  private static let memoryInAnyCase = 4 << 10

  let input: [UInt8]

  func check() {
    let whole = decode { input.count }
    let single = decode { 1 }
    require(single, sameAs: whole, "byte by byte")
    var state = input.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let chunked = decode {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return 1 + Int(state >> 33) % (state >> 60 == 0 ? 300 : 12)
    }
    require(chunked, sameAs: whole, "in chunks")
    checkTightLimits(whole)
    checkEncoding(whole)
    for reply in whole.replies { useAccessors(of: reply) }
  }

  // MARK: Properties

  private func checkTightLimits(_ wide: Outcome) {
    let whole = decode(limits: Self.tight) { input.count }
    require(decode(limits: Self.tight) { 1 }, sameAs: whole, "byte by byte within tight limits")
    for reply in whole.replies {
      var elements = 0
      checkLimits(reply, depth: 0, elements: &elements)
      require(elements <= Self.tight.elements, "a reply has \(elements) elements")
    }
    require(whole.replies.count <= wide.replies.count, "tight limits bring more replies")
    let common = ByteBuffer(encoding: wide.replies.prefix(whole.replies.count))
    require(whole.encoded == common, "tight limits change values")
    switch whole.error {
    case .lineTooLong, .stringTooLong, .tooManyElements, .tooDeep, .replyTooLong: break
    default:
      require(
        whole.error == wide.error && whole.replies.count == wide.replies.count, "tight limits bring \(String(describing: whole.error))")
    }
  }

  private func checkLimits(_ value: RESPValue, depth: Int, elements: inout Int) {
    switch value {
    case .array(let values), .set(let values), .map(let values), .push(let values):
      require(depth < Self.tight.depth, "aggregates lie \(depth + 1) deep")
      elements += values.count
      for value in values { checkLimits(value, depth: depth + 1, elements: &elements) }
    case .simpleString(let text), .bigNumber(let text):
      require(text.readableBytes <= Self.tight.lineLength, "a line has \(text.readableBytes) bytes")
    case .bulkString(let text), .verbatimString(let text), .error(let text):
      require(text.readableBytes <= Self.tight.stringLength, "a string has \(text.readableBytes) bytes")
    case .integer, .double, .boolean, .null: break
    }
  }

  private func checkEncoding(_ outcome: Outcome) {
    let encoded = outcome.encoded
    let again = Self.decode(Array(encoded.readableBytesView), limits: RESPLimits()) { encoded.readableBytes }
    require(again.error == nil && again.encoded == encoded, "values are not read again as they were written")
  }

  private func useAccessors(of value: RESPValue) {
    _ = (value.bytes, value.string, value.int, value.double, value.bool, value.map, value.isNull, value.errorMessage)
    for element in value.array ?? [] { useAccessors(of: element) }
  }

  // MARK: Decoding

  private func decode(limits: RESPLimits = RESPLimits(), chunk: () -> Int) -> Outcome {
    let (outcome, peak) = MemoryMeter.peak { Self.decode(input, limits: limits, chunk: chunk) }
    require(peak <= Self.memoryInAnyCase + Self.memoryPerByte * input.count, "\(input.count) bytes take \(peak) bytes of memory")
    return outcome
  }

  private static func decode(_ bytes: [UInt8], limits: RESPLimits, chunk: () -> Int) -> Outcome {
    var decoder = RESPDecoder(limits: limits)
    var outcome = Outcome()
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + chunk())
      decoder.feed(ByteBuffer(bytes: bytes[start..<end]))
      start = end
      do throws(RESPDecodingError) {
        while let reply = try decoder.next() {
          if outcome.error == nil { outcome.replies.append(reply) }
        }
      } catch {
        // The remaining input is still fed, and must do no harm.
        outcome.error = outcome.error ?? error
      }
    }
    return outcome
  }

  // MARK: Failures

  private func require(_ outcome: Outcome, sameAs expected: Outcome, _ how: String) {
    require(outcome.error == expected.error, "\(how): \(String(describing: outcome.error)) for \(String(describing: expected.error))")
    require(outcome.encoded == expected.encoded, "\(how): \(outcome.replies) for \(expected.replies)")
  }

  private func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
  }
}
