package import ParallaxRedis

/// What can be set about a node, with the defaults in force where nothing is set.
///
/// The sections and values are those of the configuration file; where Redis is, which patterns are loaded and how the daemon logs is the
/// daemon's to set. `ParallaxNode` checks the relations between the durations when it is made.
public struct NodeConfiguration: Sendable, Equatable {
  /// Who this node is.
  public var node: Node
  /// The HTTP and WebSocket server.
  public var server = Server()
  /// Several nodes as one control plane.
  public var highAvailability = HighAvailability()
  package var redis = Redis()
  /// Who may do what.
  public var security = Security()
  /// The agents' connections.
  public var agents = Agents()
  /// The executions' life.
  public var executions = Executions()
  /// What one client may ask for.
  public var limits = Limits()
  package var patterns = Patterns()
  package var logging = Logging()

  /// The defaults of a node with this id.
  ///
  /// - Parameter nodeID: The node's id: 1 to 128 letters, digits, `-`, `_` or `.`, unique among the nodes of a cluster and kept over
  ///   restarts.
  public init(nodeID: String) {
    node = Node(id: nodeID)
  }
}

extension NodeConfiguration {
  /// Who this node is.
  public struct Node: Sendable, Equatable {
    /// The node's name among the nodes of the cluster; the host name if none is set.
    public var id: String
    /// Where other nodes reach this one, as `host:port`; nil derives it from the address that the server is bound to.
    public var address: String?
  }

  /// The HTTP and WebSocket server.
  public struct Server: Sendable, Equatable {
    /// The address to listen on, a name or an IP address; `127.0.0.1` by default, `0.0.0.0` takes all.
    public var host = "127.0.0.1"
    /// The port to listen on; 8080 by default, 0 takes any free one.
    public var port = 8_080
    /// How long work that is under way may go on after `drainDelay` when the node stops; 30 s by default.
    public var drainTimeout: Duration = .seconds(30)
    /// How long a node that stops goes on accepting HTTP, for load balancers to notice; zero by default.
    public var drainDelay: Duration = .zero
    /// Names and addresses, besides those of loopback and of `node.address`, by which clients may call this node; none by default.
    public var hosts: [String] = []
    /// How many connections there may be, 1 to 1,000,000; those beyond are refused, but for probes; 20,000 by default.
    public var maxConnections = 20_000
    /// Addresses of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-Host` says by which name a client has called; none by default.
    public var trustedProxies: [String] = []
    /// Origins of web pages that may call this node, as `https://example.org`; `*` allows all.
    public var allowedOrigins: [String] = []
  }

  /// Several nodes as one control plane.
  public struct HighAvailability: Sendable, Equatable {
    /// Whether the node is one of several on the same stores; `false` by default: a cluster of one.
    public var enabled = false
    /// Tells clusters on the same stores apart; `default` by default.
    public var clusterID = "default"
    /// How a leader is elected.
    public var leaderElection = LeaderElection()
    /// How nodes watch each other.
    public var memberHealth = MemberHealth()
    /// How state reaches the stores.
    public var stateSync = StateSync()
  }

  /// How a leader is elected.
  ///
  /// The durations keep the two relations of ``ElectionTimings``.
  public struct LeaderElection: Sendable, Equatable {
    /// What happens when a duty ignores that leadership has ended.
    public enum StuckDutyPolicy: String, Sendable, CaseIterable {
      /// It is reported.
      case report
      /// It is reported, and the process is to end.
      case exit
    }

    /// Whether this node campaigns; otherwise it only watches.
    public var enabled = true
    /// How long the other nodes wait for a silent leader.
    public var leaseDuration: Duration = .seconds(15)
    /// How long a leader goes on without an acknowledged renewal.
    public var renewDeadline: Duration = .seconds(10)
    /// How long to wait between renewals and between attempts.
    public var retryPeriod: Duration = .seconds(2)
    /// Nodes with a greater priority campaign first.
    public var priority = 0
    /// Whether a node takes over its own former incarnation at once.
    public var reclaimOnRestart = false
    /// How long to wait on an absent record; the lease's duration if none is set.
    public var bootstrapWait: Duration = .seconds(15)
    /// What happens when a duty ignores that leadership has ended; it is reported by default.
    public var onStuckDuty = StuckDutyPolicy.report
  }

  /// How nodes watch each other.
  public struct MemberHealth: Sendable, Equatable {
    /// How often a node shows that it lives and looks at the others; 5 s by default.
    public var checkInterval: Duration = .seconds(5)
    /// How long one call of the store for that may take; 3 s by default.
    public var timeout: Duration = .seconds(3)
    /// How many failed checks in a row make a member unhealthy.
    public var unhealthyThreshold = 3
    /// How long an unhealthy member is remembered.
    public var removeAfter: Duration = .seconds(600)
  }

  /// How state reaches the store.
  public struct StateSync: Sendable, Equatable {
    /// How many changes at most go to the store in one batch.
    public var batchSize = 128
  }

  /// The store shared by all nodes.
  package struct Redis: Sendable, Equatable {
    /// Where Redis is; with nodes of a cluster or sentinels only how to log in, and whether by TLS.
    package var url: RedisURL?
    package var cluster = Cluster()
    package var sentinel = Sentinel()
    package var tls = TLS()
    /// The ACL user; wins over the one in `url`.
    package var username: String?
    /// The password; wins over the one in `url`.
    package var password: String?
    /// Files with user and password, read at each log-in, so that a changed password needs no restart.
    package var usernameFile: String?
    package var passwordFile: String?
    /// What every key and channel begins with.
    package var keyPrefix = "parallax:"
    package var connectTimeout: Duration = .seconds(2)
    package var commandTimeout: Duration = .seconds(3)
    /// How many replicas must acknowledge a grant or renewal of leadership.
    package var requireReplicas = 0

    /// Redis Cluster.
    package struct Cluster: Sendable, Equatable {
      /// Some of its nodes; nil if Redis is no cluster.
      package var nodes: [RedisConfiguration.Endpoint]?
    }

    /// A master that sentinels watch.
    package struct Sentinel: Sendable, Equatable {
      package var masterName: String?
      /// All sentinels; nil if there are none.
      package var nodes: [RedisConfiguration.Endpoint]?
      /// How to log in at the sentinels.
      package var username: String?
      package var password: String?
    }

    /// The files for TLS.
    package struct TLS: Sendable, Equatable {
      /// Certificates of those whose word counts; nil for the system's.
      package var ca: String?
      /// The certificate that this node shows.
      package var certificate: String?
      package var privateKey: String?
    }

    /// Whether there is a Redis at all; else all state is in this process's memory.
    package var isConfigured: Bool { url != nil || cluster.nodes != nil || sentinel.nodes != nil }

    /// Whether connections are by TLS.
    package var usesTLS: Bool { url?.isTLS ?? (tls.ca != nil || tls.certificate != nil) }

    /// Where Redis is first looked for.
    package var endpoints: [RedisConfiguration.Endpoint] {
      cluster.nodes ?? sentinel.nodes ?? url.map { [$0.endpoint] } ?? []
    }
  }

  /// Who may do what.
  public struct Security: Sendable, Equatable {
    /// Whether a node that is reachable from elsewhere works without any access control.
    public var allowUnauthenticated = false
  }

  /// The agents' connections.
  public struct Agents: Sendable, Equatable {
    /// How often agents are asked to send a heartbeat; 10 s by default.
    public var heartbeatInterval: Duration = .seconds(10)
    /// The silence that ends a session.
    public var heartbeatTimeout: Duration = .seconds(90)
    /// How long the tasks of a lost agent wait for it to come back.
    public var resumeGrace: Duration = .seconds(30)
    /// The largest message, in bytes.
    public var maxMessageSize = 1 << 20
    /// How many messages an agent may send a second; 100 by default.
    public var maxMessagesPerSecond = 100
  }

  /// The executions' life.
  public struct Executions: Sendable, Equatable {
    /// How long a finished execution is kept.
    public var retention: Duration = .seconds(86_400)
    /// How many finished executions are kept at most.
    public var maxRetained = 1_000_000
    /// How long an execution may take whose pattern and caller say nothing.
    public var defaultTimeout: Duration = .seconds(300)
    /// How long an execution waits for the first agent that can take it.
    public var agentWait: Duration = .seconds(5)
  }

  /// What one client may ask for.
  public struct Limits: Sendable, Equatable {
    /// The largest body of a request, in bytes.
    public var requestBody = 8 << 20
  }

  /// The patterns that are loaded at start.
  package struct Patterns: Sendable, Equatable {
    /// Where the pattern files are; nil takes `./patterns` if it exists.
    package var directory: String?
  }

  /// What the node writes about itself.
  package struct Logging: Sendable, Equatable {
    /// The levels, least severe first.
    package enum Level: String, Sendable, CaseIterable {
      case trace, debug, info, notice, warning, error, critical
    }

    /// How a line looks.
    package enum Format: String, Sendable, CaseIterable {
      case text, json
    }

    package var level = Level.info
    /// Nil takes text on a terminal and JSON elsewhere.
    package var format: Format?
  }
}
