import NIOCore
import ParallaxConcurrency
import ParallaxState

/// Where other nodes and people reach a node: as configured, else as bound, else by the address that is on the way to the stores.
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

  /// The server listens.
  ///
  /// - Parameter address: The address with the port that was bound.
  /// - Returns: The base URL by which this machine reaches the node.
  func bound(_ address: SocketAddress) -> String {
    let port = address.port ?? 0
    boundPort.set(port)
    return "http://\(Self.text(localName, port))"
  }

  /// What the members show before the address is known.
  var provisional: String {
    configuration.node.address ?? Self.text(localName, boundPort.current ?? configuration.server.port)
  }

  /// The address, once the server listens; a node that is bound to all addresses first has to reach its stores.
  ///
  /// - Throws: `CancellationError`.
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
