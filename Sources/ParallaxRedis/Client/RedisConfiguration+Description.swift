extension RedisConfiguration: CustomStringConvertible, CustomReflectable {
  /// The deployment, the user and the database; never a password.
  public var description: String {
    let user = username.map { " as \($0)" } ?? ""
    let protection = tls == nil ? "" : " by TLS"
    return "\(deployment)\(protection)\(user), database \(database)"
  }

  /// The ``description`` for debuggers and `dump`, without secrets.
  public var customMirror: Mirror {
    Mirror(self, children: ["description": description])
  }
}

extension RedisConfiguration.Deployment: CustomStringConvertible {
  /// The addresses of the servers.
  public var description: String {
    func list(_ endpoints: [RedisConfiguration.Endpoint]) -> String { endpoints.map(\.description).joined(separator: ", ") }
    switch self {
    case .standalone(let endpoint): return "\(endpoint)"
    case .sentinel(let sentinel): return "\(sentinel)"
    case .cluster(let nodes): return "the cluster of \(list(nodes))"
    }
  }
}

extension RedisConfiguration.Sentinel: CustomStringConvertible, CustomReflectable {
  /// The master's name and the sentinels; never a password.
  public var description: String {
    "the master \(masterName) of the sentinels \(sentinels.map(\.description).joined(separator: ", "))"
  }

  /// The ``description`` for debuggers and `dump`, without secrets.
  public var customMirror: Mirror {
    Mirror(self, children: ["description": description])
  }
}
