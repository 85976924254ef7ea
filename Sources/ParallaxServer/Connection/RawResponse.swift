import NIOCore
import NIOHTTP1

/// A complete response, written past the HTTP encoder as one buffer.
struct RawResponse {
  var status: Int
  /// Nil if the status allows no body.
  var contentType: String?
  var body: ByteBuffer
  var headers: [(name: String, value: String)] = []
  var isHead = false
  /// The `Connection` header; nil for none, which in HTTP/1.1 means that the connection stays open.
  var connection: String?

  static let continueExpected = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")

  func write(to buffer: inout ByteBuffer, date: String) {
    buffer.writeString("HTTP/1.1 \(status) ")
    buffer.writeString(HTTPResponseStatus(statusCode: status).reasonPhrase)
    Self.write("date", date, to: &buffer)
    if let contentType {
      Self.write("content-type", contentType, to: &buffer)
      Self.write("content-length", String(body.readableBytes), to: &buffer)
    }
    for header in headers { Self.write(header.name, header.value, to: &buffer) }
    if let connection { Self.write("connection", connection, to: &buffer) }
    buffer.writeStaticString("\r\n\r\n")
    if !isHead { buffer.writeImmutableBuffer(body) }
  }

  /// Writes the response that turns the connection into a WebSocket.
  static func writeSwitchingProtocols(_ headers: HTTPHeaders, to buffer: inout ByteBuffer) {
    buffer.writeStaticString("HTTP/1.1 101 Switching Protocols")
    for header in headers { write(header.name, header.value, to: &buffer) }
    buffer.writeStaticString("\r\n\r\n")
  }

  private static func write(_ name: String, _ value: String, to buffer: inout ByteBuffer) {
    buffer.writeStaticString("\r\n")
    buffer.writeString(name)
    buffer.writeStaticString(": ")
    // A line break would end the header and start another one, so a value with a line break is left out.
    if value.utf8.contains(where: { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) { return }
    buffer.writeString(value)
  }
}
