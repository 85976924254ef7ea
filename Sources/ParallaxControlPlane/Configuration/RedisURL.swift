package import ParallaxRedis
import ParallaxText

/// The address of a Redis server with its credentials: `redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///path`.
package struct RedisURL: Sendable, Equatable {
  package let endpoint: RedisConfiguration.Endpoint
  package let isTLS: Bool
  package let username: String?
  package var password: String? { secret?.text }
  package let database: Int
  private let secret: Secret?

  /// Parses a URL by the client's rules; nil if it has none of the accepted forms.
  ///
  /// The user and the password are percent-encoded.
  package init?(_ text: String) {
    guard let configuration = try? RedisConfiguration(url: text), case .standalone(let endpoint) = configuration.deployment else {
      return nil
    }
    self.endpoint = endpoint
    isTLS = configuration.tls != nil
    username = configuration.username
    secret = configuration.password.map { Secret($0) }
    database = configuration.database
  }

  /// The text of the URL, with `***` for the password if `secretsHidden`.
  package func text(secretsHidden: Bool) -> String {
    var user = username.map { PercentEncoding.encode($0) } ?? ""
    if let password { user += ":" + (secretsHidden ? "***" : PercentEncoding.encode(password)) }
    if !user.isEmpty { user += "@" }
    switch endpoint {
    case .unixSocket(let path): return "unix://\(user)\(path)\(database == 0 ? "" : "?db=\(database)")"
    case .host: return "\(isTLS ? "rediss" : "redis")://\(user)\(endpoint)\(database == 0 ? "" : "/\(database)")"
    }
  }
}

extension NodeConfiguration.Redis {
  /// The location of the state, in one line without secrets; nil without Redis.
  package var summary: String? {
    func list(_ endpoints: [RedisConfiguration.Endpoint]) -> String { endpoints.map(\.description).joined(separator: ", ") }
    let protection = usesTLS ? " over TLS" : ""
    if let nodes = cluster.nodes { return "Redis Cluster\(protection) at \(list(nodes))" }
    if let nodes = sentinel.nodes {
      return "the Redis master \(sentinel.masterName ?? "")\(protection) that the sentinels at \(list(nodes)) name"
    }
    return url?.text(secretsHidden: true)
  }
}
