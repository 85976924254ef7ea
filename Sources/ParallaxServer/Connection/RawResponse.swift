import NIOCore
import NIOHTTP1

/// A complete response, written past the HTTP encoder as one buffer.
struct RawResponse {
  var status: Int
  /// Nil for an answer that has no body by its status.
  var contentType: String?
  var body: ByteBuffer
  var headers: [(name: String, value: String)] = []
  var isHead = false
  /// How the connection goes on; nil says nothing, which in HTTP/1.1 means that it stays.
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

  /// The answer that makes the connection a WebSocket.
  static func writeSwitchingProtocols(_ headers: HTTPHeaders, to buffer: inout ByteBuffer) {
    buffer.writeStaticString("HTTP/1.1 101 Switching Protocols")
    for header in headers { write(header.name, header.value, to: &buffer) }
    buffer.writeStaticString("\r\n\r\n")
  }

  private static func write(_ name: String, _ value: String, to buffer: inout ByteBuffer) {
    buffer.writeStaticString("\r\n")
    buffer.writeString(name)
    buffer.writeStaticString(": ")
    // A line break would end the header: whatever made the value, it cannot begin another one.
    if value.utf8.contains(where: { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) { return }
    buffer.writeString(value)
  }
}
