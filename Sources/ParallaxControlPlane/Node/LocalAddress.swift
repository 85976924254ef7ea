import NIOCore
import NIOPosix
import ParallaxRedis

/// The address of this machine that others on the way to its servers see.
enum LocalAddress {
  private static let pause: Duration = .milliseconds(500)

  /// Connects to one of the servers until that succeeds, and tells this end's address with `port` in the place of its own.
  ///
  /// Throws `CancellationError`.
  static func facing(_ endpoints: [RedisConfiguration.Endpoint], on loop: any EventLoop, port: Int) async throws -> String {
    while true {
      for endpoint in endpoints {
        try Task.checkCancellation()
        guard case .host(let server, let serverPort) = endpoint else { return "127.0.0.1:\(port)" }
        if let host = try? await addressFacing(server, serverPort, on: loop) {
          return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
      }
      try await Task.sleep(for: pause)
    }
  }

  private static func addressFacing(_ host: String, _ port: Int, on loop: any EventLoop) async throws -> String? {
    let channel = try await ClientBootstrap(group: loop).connectTimeout(.seconds(2)).connect(host: host, port: port).get()
    let address = channel.localAddress?.ipAddress
    try? await channel.close()
    return address
  }
}
