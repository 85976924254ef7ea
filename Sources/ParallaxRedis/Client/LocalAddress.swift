package import NIOCore
import NIOPosix

extension RedisConfiguration {
  /// The address of this machine on its way to the first server that takes a connection, or that of the loopback for a Unix socket.
  ///
  /// - Parameter group: Where the connections for finding out are made.
  /// - Returns: The address, without a port.
  /// - Throws: ``RedisError`` with `connectionFailed` if no server takes a connection, or `CancellationError`.
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
    throw RedisError(.connectionFailed, message: "no server of \(servers) takes a connection", cause: cause)
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
