import BenchmarkSupport
import NIOCore

/// The parts of a response that the benchmark uses.
struct HTTPResponse {
  var status: Int
  var body: ByteBuffer
}

/// A keep-alive HTTP/1.1 connection with one request at a time.
///
/// `next` returns the next request after each response; nil closes.
final class HTTPCaller: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var buffer = ByteBuffer()
  private let next: (Result<HTTPResponse, any Error>?) -> ByteBuffer?
  private var ended = false

  /// - Parameter next: Called with nil at first, then with each response; with a failure at most once, as the last call.
  init(next: @escaping (Result<HTTPResponse, any Error>?) -> ByteBuffer?) {
    self.next = next
  }

  func channelActive(context: ChannelHandlerContext) {
    proceed(context, after: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    buffer.discardReadBytes()
    buffer.writeBuffer(&bytes)
    do {
      if let response = try readResponse() { proceed(context, after: .success(response)) }
    } catch {
      proceed(context, after: .failure(error))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !ended { proceed(context, after: .failure(BenchmarkError("the node closed a caller's connection"))) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if !ended { proceed(context, after: .failure(error)) }
  }

  private func proceed(_ context: ChannelHandlerContext, after outcome: Result<HTTPResponse, any Error>?) {
    guard !ended else { return }
    if let request = next(outcome) {
      context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    } else {
      ended = true
      context.close(promise: nil)
    }
  }

  private func readResponse() throws -> HTTPResponse? {
    guard let head = buffer.withUnsafeReadableBytes({ Self.head(in: $0) }) else { return nil }
    guard let length = head.contentLength else { throw BenchmarkError("a response without Content-Length") }
    guard buffer.readableBytes >= head.size + length else { return nil }
    buffer.moveReaderIndex(forwardBy: head.size)
    guard let body = buffer.readSlice(length: length) else { return nil }
    return HTTPResponse(status: head.status, body: body)
  }

  private static func head(in bytes: UnsafeRawBufferPointer) -> (size: Int, status: Int, contentLength: Int?)? {
    guard let size = bytes.end(of: "\r\n\r\n"), size > 12 else { return nil }
    let status = bytes[9..<12].reduce(0) { $0 * 10 + Int($1 & 0x0f) }
    let head = UnsafeRawBufferPointer(rebasing: bytes[..<size])
    guard var index = head.end(of: "ontent-length: ") ?? head.end(of: "ontent-Length: ") else { return (size, status, nil) }
    var length = 0
    while head[index] != 13 {
      length = length * 10 + Int(head[index] & 0x0f)
      index += 1
    }
    return (size, status, length)
  }
}

extension UnsafeRawBufferPointer {
  /// The index after the first occurrence of this text.
  func end(of text: StaticString, from start: Int = 0) -> Int? {
    let length = text.utf8CodeUnitCount
    guard count - start >= length else { return nil }
    let wanted = UnsafeRawBufferPointer(start: text.utf8Start, count: length)
    for index in start...(count - length) where self[index] == wanted[0] {
      if wanted.elementsEqual(self[index..<(index + length)]) { return index + length }
    }
    return nil
  }

  /// The text of the first string member of this name, in the form `"name":"`.
  func member(_ prefix: StaticString) -> UnsafeRawBufferPointer? {
    guard let start = end(of: prefix), let close = self[start...].firstIndex(of: UInt8(ascii: "\"")) else { return nil }
    return UnsafeRawBufferPointer(rebasing: self[start..<close])
  }
}
