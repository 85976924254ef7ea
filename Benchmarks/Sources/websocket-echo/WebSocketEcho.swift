import ArgumentParser
import NIOPosix

/// Serves an echo, or compares both echoes.
@main
struct WebSocketEcho: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "websocket-echo",
    abstract: "Sends WebSocket messages back, by the handler of the node's agents.",
    discussion: """
      The handler takes binary messages too, and compresses messages of 1 KiB and more if the client offers permessage-deflate. Messages \
      have up to 17 MiB. With --compare, the program starts itself as a server by turns, with the handler and with an NIOAsyncChannel, and \
      prints messages per second and the server's processor time per message.
      """)

  @Option(help: "The port of 127.0.0.1 to listen on; 0 takes a free one.")
  var port = 9_001

  @Flag(help: "Echo by SwiftNIO's NIOAsyncChannel instead, without compression.")
  var asyncChannel = false

  @Flag(help: "Compare the two.")
  var compare = false

  @Option(help: "With --compare: the rounds, in each of which each server echoes each size.")
  var rounds = 5

  @Option(help: "With --compare: the seconds of one measurement.")
  var seconds = 2

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port is from 0 to 65535") }
    guard rounds > 0, seconds > 0 else { throw ValidationError("--rounds and --seconds start at 1") }
  }

  func run() async throws {
    if compare { return try await EchoComparison(rounds: rounds, duration: .seconds(seconds)).run() }
    let group = MultiThreadedEventLoopGroup.singleton
    if asyncChannel {
      try await AsyncChannelEcho.serve(on: port, group: group)
    } else {
      try await HandlerEcho.serve(on: port, group: group)
    }
  }
}
