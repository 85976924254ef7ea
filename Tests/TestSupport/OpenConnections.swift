import NIOCore
import NIOPosix

/// Opens idle TCP connections, and closes them after the body.
package func withOpenConnections<Result>(_ count: Int, port: Int, _ body: () async throws -> Result) async throws -> Result {
  let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
  var channels: [any Channel] = []
  func close() async {
    // Closing fails only for a connection that the server has closed.
    for channel in channels { try? await channel.close() }
  }
  do {
    for _ in 0..<count { channels.append(try await bootstrap.connect(host: "127.0.0.1", port: port).get()) }
    let result = try await body()
    await close()
    return result
  } catch {
    await close()
    throw error
  }
}
