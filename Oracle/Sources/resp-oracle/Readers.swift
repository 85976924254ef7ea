import HiredisReader
import NIOCore

/// A decoder under comparison, from bytes to replies.
protocol Reader {
  mutating func feed(_ bytes: ArraySlice<UInt8>)
  var replies: Int { get }
  var isRefused: Bool { get }
  /// The complete replies, in the form that `HiredisReader` describes.
  var transcript: [UInt8] { get }
}

extension Reader {
  /// The replies and the refusal, to compare two readers of one type.
  var outcome: [UInt8] { transcript + [isRefused ? 1 : 0] }
}

/// The decoder of the client.
struct ParallaxReader: Reader {
  private var decoder: RESPDecoder
  private(set) var replies = 0
  private(set) var error: RESPDecodingError?
  private(set) var transcript: [UInt8] = []
  var isRefused: Bool { error != nil }

  init(limits: RESPLimits) {
    decoder = RESPDecoder(limits: limits)
  }

  mutating func feed(_ bytes: ArraySlice<UInt8>) {
    guard error == nil else { return }
    decoder.feed(ByteBuffer(bytes: bytes))
    do throws(RESPDecodingError) {
      while let value = try decoder.next() {
        replies += 1
        write(value)
      }
    } catch {
      self.error = error
    }
  }

  private mutating func write(_ value: RESPValue) {
    switch value {
    case .simpleString(let text): write("+", text)
    case .bulkString(let text): write("$", text)
    case .verbatimString(let text): write("=", text)
    case .error(let text): write("!", text)
    case .bigNumber(let text): write("(", text)
    case .integer(let value): transcript += ":\(value)\r\n".utf8
    case .double(let value): transcript += ",\(Int64(bitPattern: (value.isNaN ? .nan : value).bitPattern))\r\n".utf8
    case .boolean(let value): transcript += value ? "#t\r\n".utf8 : "#f\r\n".utf8
    case .null: transcript += "_\r\n".utf8
    case .array(let elements): write("*", elements)
    case .set(let elements): write("~", elements)
    case .map(let elements): write("%", elements)
    case .push(let elements): write(">", elements)
    }
  }

  private mutating func write(_ type: Character, _ text: ByteBuffer) {
    transcript += "\(type)\(text.readableBytes)\r\n".utf8
    transcript += text.readableBytesView
    transcript += "\r\n".utf8
  }

  private mutating func write(_ type: Character, _ elements: [RESPValue]) {
    transcript += "\(type)\(elements.count)\r\n".utf8
    for element in elements { write(element) }
  }
}

/// hiredis.
final class Hiredis: Reader {
  static var version: Int { Int(hiredis_version) }
  static var hasVersion3: Bool { version >= 101 }

  private let reader = hiredis_reader_create()

  deinit { hiredis_reader_destroy(reader) }

  func feed(_ bytes: ArraySlice<UInt8>) {
    bytes.withUnsafeBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return }
      hiredis_reader_feed(reader, start, bytes.count)
    }
  }

  var replies: Int { hiredis_reader_replies(reader) }
  var isRefused: Bool { hiredis_reader_refused(reader) }
  var error: String { isRefused ? String(cString: hiredis_reader_error(reader)) : "nothing" }
  /// The number of bytes of an incomplete token.
  var pending: Int { hiredis_reader_pending(reader) }
  /// The number of open aggregates.
  var depth: Int { Int(hiredis_reader_depth(reader)) }
  /// The number of elements that the unfinished reply announced.
  var announced: Int { hiredis_reader_announced(reader) }

  var transcript: [UInt8] {
    var length = 0
    let start = hiredis_reader_transcript(reader, &length)
    return Array(UnsafeBufferPointer(start: start, count: length))
  }
}
