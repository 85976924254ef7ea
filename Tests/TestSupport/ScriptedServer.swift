import NIOCore
import NIOPosix

/// Runs a RESP2 server whose replies, in the wire format, come from a test.
///
/// The server answers PING itself and refuses HELLO, so that clients use RESP2.
package func withScriptedServer(
  _ answer: @escaping @Sendable ([String]) -> String, _ body: (_ port: Int) async throws -> Void
) async throws {
  let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Script(answer)) }
    }
    .bind(host: "127.0.0.1", port: 0).get()
  do {
    try await body(server.localAddress?.port ?? 0)
    try await server.close()
  } catch {
    try await server.close()
    throw error
  }
}

private final class Script: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let answer: @Sendable ([String]) -> String
  private var received = ""

  init(_ answer: @escaping @Sendable ([String]) -> String) {
    self.answer = answer
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    received += String(buffer: unwrapInboundIn(data))
    while let command = takeCommand() {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply(to: command))), promise: nil)
    }
  }

  private func reply(to command: [String]) -> String {
    switch command.first {
    case "HELLO":
      _ = answer(command)
      return "-ERR unknown command 'HELLO'\r\n"
    case "PING": return "+PONG\r\n"
    default: return answer(command)
    }
  }

  /// Takes the first complete command, without line breaks in its words, from the received bytes; `nil` if there is none.
  private func takeCommand() -> [String]? {
    let lines = received.split(separator: "\r\n", omittingEmptySubsequences: false)
    guard let count = lines.first.flatMap({ Int($0.dropFirst()) }), lines.count > 1 + 2 * count else { return nil }
    let words = (0..<count).map { String(lines[2 + 2 * $0]) }
    received = lines[(1 + 2 * count)...].joined(separator: "\r\n")
    return words
  }
}
