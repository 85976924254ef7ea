public import ParallaxAPI

/// The settings of an agent.
public struct AgentConfiguration: Sendable {
  /// How an agent comes back after a lost connection.
  public struct Reconnection: Sendable, Hashable {
    /// Whether it comes back at all.
    public var isEnabled: Bool
    /// The failed attempts in a row after which the agent ends; 0 tries without end.
    ///
    /// The count starts again with each registration.
    public var maxRetries: Int
    /// The bound of the first wait.
    public var initial: Duration
    /// The bound of every wait.
    public var max: Duration
    /// The factor from one wait to the next.
    public var multiplier: Double

    /// Makes the settings; each wait is a random part of its bound, so that the agents of a node do not come back all at once.
    ///
    /// - Parameters:
    ///   - isEnabled: Whether it comes back at all; true by default.
    ///   - maxRetries: The failed attempts in a row after which it ends; 10 by default, 0 tries without end.
    ///   - initial: The bound of the first wait; 1 s by default.
    ///   - max: The bound of every wait; 30 s by default.
    ///   - multiplier: The factor from one wait to the next; 2 by default.
    public init(
      isEnabled: Bool = true, maxRetries: Int = 10, initial: Duration = .seconds(1), max: Duration = .seconds(30), multiplier: Double = 2
    ) {
      self.isEnabled = isEnabled
      self.maxRetries = maxRetries
      self.initial = initial
      self.max = max
      self.multiplier = multiplier
    }
  }

  /// The files of a connection with TLS.
  public struct TLS: Sendable, Hashable {
    /// The PEM file of the authorities that sign the nodes' certificates; nil for those of the system.
    public var authorities: String?
    /// The PEM file of the agent's own certificate; nil for none.
    public var certificate: String?
    /// The PEM file of the key of `certificate`.
    public var privateKey: String?

    /// Makes the settings; by default those of the system, without a certificate.
    public init(authorities: String? = nil, certificate: String? = nil, privateKey: String? = nil) {
      self.authorities = authorities
      self.certificate = certificate
      self.privateKey = privateKey
    }
  }

  /// The nodes, or their load balancer, tried in turn.
  ///
  /// The scheme is `http`, `https`, `ws` or `wss`; the path is `/ws/agent` if there is none.
  public var urls: [String]
  /// The id of the agent, 1 to 128 of `A-Z a-z 0-9 - _ .`: the same at each connection and after a restart, and of one process at a time.
  public var id: String
  /// The name that people see; the id if nil.
  public var name: String?
  /// What the agent can do, 1 to 1,000 names.
  public var capabilities: [String]
  /// The tasks at the same time, 1 to 10,000.
  public var maxConcurrentTasks = 1
  /// The largest message that the agent accepts, in bytes; 16 MiB by default.
  ///
  /// A larger task fails without being sent.
  public var maxMessageSize = 16 << 20
  /// Anything that people may want to know of the agent.
  public var metadata: [String: JSONValue] = [:]
  /// Returns the API key or token, at each connection, so that it can change; nil, the default, sends none.
  public var credential: (@Sendable () async throws -> String)?
  /// TLS of `https` and `wss`.
  public var tls = TLS()
  /// How it comes back after a lost connection.
  public var reconnection = Reconnection()
  /// The time that a graceful shutdown gives to running tasks and their acknowledgements; 30 s by default.
  public var stopTimeout: Duration = .seconds(30)

  /// Makes the settings of an agent.
  ///
  /// - Parameters:
  ///   - urls: The nodes, or their load balancer.
  ///   - id: The id of the agent.
  ///   - capabilities: What the agent can do.
  public init(urls: [String], id: String, capabilities: [String]) {
    self.urls = urls
    self.id = id
    self.capabilities = capabilities
  }
}

/// The end of an agent that was not asked to stop.
public struct ParallaxAgentError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kinds of errors.
  public enum Code: Sendable, Hashable {
    /// A setting cannot be used.
    case invalidConfiguration
    /// No node has taken the agent, as often as it tried.
    case unreachable
    /// Another process has registered under the agent's id.
    case replaced
    /// An operator has disconnected the agent.
    case disconnected
  }

  /// The kind of the error.
  public let code: Code
  /// What was wrong, and what would be right; without secrets.
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
