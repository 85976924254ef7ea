import NIOCore
import ParallaxConcurrency
import ParallaxState

/// Determines the address by which other nodes and operators reach a node: the configured one, else the bound one, else the local address
/// of the connection to the stores.
struct NodeAddress: Sendable {
  let configuration: NodeConfiguration
  let backend: any Backend
  let clock: NodeClock

  private let boundPort = Deferred<Int>()
  private static let pause: Duration = .milliseconds(500)

  init(configuration: NodeConfiguration, backend: any Backend, clock: NodeClock) {
    self.configuration = configuration
    self.backend = backend
    self.clock = clock
  }

  /// Records that the server listens; the node can be ready from then on.
  ///
  /// - Parameter address: The address with the port that was bound.
  func bound(_ address: SocketAddress) { boundPort.set(address.port ?? 0) }

  /// The base URL by which this machine reaches the node.
  func url(of address: SocketAddress) -> String {
    "\(ServerCertificates(configuration) == nil ? "http" : "https")://\(Self.text(localName, address.port ?? 0))"
  }

  /// Whether the server listens, or has listened.
  var isBound: Bool { boundPort.current != nil }

  /// Waits until the server listens.
  ///
  /// - Throws: `CancellationError` if the task is cancelled before.
  func waitUntilBound() async throws { _ = try await boundPort.value() }

  /// The address to publish before the actual one is known.
  var provisional: String {
    configuration.node.address ?? Self.text(localName, boundPort.current ?? configuration.server.port)
  }

  /// Waits for the address until the server listens and, if the server is bound to all addresses, until the stores are reachable.
  ///
  /// - Returns: The address, as `host:port`.
  /// - Throws: `CancellationError` if the task is cancelled before.
  func resolve() async throws -> String {
    if let address = configuration.node.address { return address }
    let port = try await boundPort.value()
    guard isBoundToAll else { return Self.text(configuration.server.host, port) }
    while true {
      do {
        return Self.text(try await backend.localHost() ?? localName, port)
      } catch {
        try await clock.sleep(for: Self.pause)
      }
    }
  }

  private var isBoundToAll: Bool { ["0.0.0.0", "::"].contains(configuration.server.host) }

  private var localName: String { isBoundToAll ? "127.0.0.1" : configuration.server.host }

  private static func text(_ host: String, _ port: Int) -> String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
