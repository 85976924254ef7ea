import Foundation
import NIOCore
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// The handler of agent connections, with an echoing gateway, under an external fuzzing client.
///
/// `Scripts/test-websocket-conformance.sh` installs the client and names it; without it there is nothing to run.
@Suite struct WebSocketConformanceTests {
  private static let command = ProcessInfo.processInfo.environment["PARALLAX_TEST_FUZZING_CLIENT"]?.split(separator: " ").map(String.init)

  @Test(.enabled(if: command != nil), .timeLimit(.minutes(20)))
  func satisfiesTheFuzzingClient() async throws {
    let command = try #require(Self.command)
    let change: (inout HTTPServer.Configuration) -> Void = { configuration in
      configuration.limits.agentMessageSize = 17 << 20
      configuration.limits.agentBacklog = 64 << 20
    }
    try await RunningServer.with(gateway: EchoGateway(), change: change) { server in
      let client = Process()
      client.executableURL = URL(filePath: "/usr/bin/env")
      client.arguments = command + ["ws://127.0.0.1:\(server.port)/ws/agent"]
      let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
        client.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do { try client.run() } catch { continuation.resume(throwing: error) }
      }
      #expect(status == 0, "the fuzzing client says above which cases fail")
    }
  }
}

/// Sends each message back and keeps none: the client sends gigabytes.
private struct EchoGateway: AgentGateway {
  func accept(_ handshake: AgentHandshake, on connection: any AgentConnection) -> Result<any AgentMessageHandler, APIError> {
    .success(Echo(connection: connection))
  }

  private final class Echo: AgentMessageHandler {
    let connection: any AgentConnection

    init(connection: any AgentConnection) { self.connection = connection }

    func opened() {}
    func received(_ message: ByteBuffer) { connection.send(message) }
    func tick(at now: NIODeadline, silence: TimeAmount) {}
    func answered(_ ping: UInt64) {}
    func drained() {}
    func refused(_ beginning: ByteBuffer) {}
    func closed(_ reason: AgentCloseReason) {}
  }
}
