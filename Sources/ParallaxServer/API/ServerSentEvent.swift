import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle

/// An element of a stream of Server-Sent Events.
package enum ServerSentEvent: Sendable, Hashable {
  /// An event; a client that connects again sends the last `id`. Neither text has line breaks.
  case event(name: String, id: String?, data: [UInt8])
  /// A sign of life without a meaning, against proxies that end silent connections.
  case comment

  /// The element as it is sent.
  fileprivate var buffer: ByteBuffer {
    switch self {
    // Without an empty line, at which some clients would hand on an event.
    case .comment: return ByteBuffer(string: ":\n")
    case .event(let name, let id, let data):
      var buffer = ByteBuffer(string: "event: \(name)\n")
      if let id { buffer.writeString("id: \(id)\n") }
      buffer.writeString("data: ")
      buffer.writeBytes(data)
      buffer.writeString("\n\n")
      return buffer
    }
  }
}

extension Response {
  /// Streams events until the source ends, the client is gone, or the server stops.
  ///
  /// The next event is taken from the source when the client has room for it.
  static func events(_ events: AsyncStream<ServerSentEvent>) -> Response {
    let body = ResponseBody { writer in
      var writer = writer
      // Two seconds until a client connects again, as a part of the first event: some clients take a block without data for an empty event.
      try await writer.write(ByteBuffer(string: "retry: 2000\n"))
      for await event in events.cancelOnGracefulShutdown() { try await writer.write(event.buffer) }
      try await writer.finish(nil)
    }
    var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
    // nginx would collect the events.
    if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
    return Response(status: .ok, headers: headers, body: body)
  }
}
