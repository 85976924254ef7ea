package import ParallaxRedis
import ParallaxText

/// Where a Redis server is and how to log in, as one text: `redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///path`.
package struct RedisURL: Sendable, Equatable {
  package let endpoint: RedisConfiguration.Endpoint
  package let isTLS: Bool
  package let username: String?
  package let password: String?
  package let database: Int

  /// Reads a URL as the client does; nil if it is none of the accepted forms.
  ///
  /// Reserved characters in the user and password are
  /// percent-encoded.
  package init?(_ text: String) {
    guard let configuration = try? RedisConfiguration(url: text), case .standalone(let endpoint) = configuration.deployment else {
      return nil
    }
    self.endpoint = endpoint
    isTLS = configuration.tls != nil
    username = configuration.username
    password = configuration.password
    database = configuration.database
  }

  /// The URL with its password replaced by `***` unless `secretsHidden` is false.
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
  /// Where the state is, in one line without secrets; nil if there is no Redis.
  package var summary: String? {
    func list(_ endpoints: [RedisConfiguration.Endpoint]) -> String { endpoints.map(\.description).joined(separator: ", ") }
    let protection = usesTLS ? " by TLS" : ""
    if let nodes = cluster.nodes { return "Redis Cluster\(protection) at \(list(nodes))" }
    if let nodes = sentinel.nodes {
      return "the Redis master \(sentinel.masterName ?? "")\(protection) that the sentinels at \(list(nodes)) name"
    }
    return url?.text(secretsHidden: true)
  }
}
