package import NIOCore
import NIOPosix

extension RedisConfiguration {
  /// The address from which this machine reaches the first server that accepts a connection; that of the loopback interface for a Unix
  /// socket.
  ///
  /// - Parameter group: The event loops of the trial connections.
  /// - Returns: The address, without a port.
  /// - Throws: ``RedisError`` with `connectionFailed` if no server accepts a connection, or `CancellationError`.
  package func localHost(on group: any EventLoopGroup) async throws -> String {
    var cause: (any Error)?
    for endpoint in deployment.endpoints {
      try Task.checkCancellation()
      guard case .host(let host, let port) = endpoint else { return "127.0.0.1" }
      do {
        if let address = try await Self.addressFacing(host, port, within: connectTimeout, on: group) { return address }
      } catch {
        cause = error
      }
    }
    let servers = deployment.endpoints.map(\.description).joined(separator: ", ")
    throw RedisError(.connectionFailed, message: "no server of \(servers) accepts a connection", cause: cause)
  }

  private static func addressFacing(
    _ host: String, _ port: Int, within limit: Duration, on group: any EventLoopGroup
  ) async throws -> String? {
    let bootstrap = ClientBootstrap(group: group).connectTimeout(TimeAmount(clamping: limit))
    let channel = try await bootstrap.connect(host: host, port: port).get()
    let address = channel.localAddress?.ipAddress
    try? await channel.close()
    return address
  }
}
