package import ParallaxRedis

/// Everything that can be set about a node, with the defaults in force where nothing is set.
package struct NodeConfiguration: Sendable, Equatable {
  package var node: Node
  package var server = Server()
  package var highAvailability = HighAvailability()
  package var redis = Redis()
  package var security = Security()
  package var agents = Agents()
  package var executions = Executions()
  package var limits = Limits()
  package var patterns = Patterns()
  package var logging = Logging()

  /// The defaults of a node with this id.
  package init(nodeID: String) {
    node = Node(id: nodeID)
  }
}

extension NodeConfiguration {
  /// Who this node is.
  package struct Node: Sendable, Equatable {
    /// The node's name among the nodes of the cluster; the host name if none is set.
    package var id: String
    /// Where other nodes reach this one, as `host:port`; nil derives it from the address that the server is bound to.
    package var address: String?
  }

  /// The HTTP and WebSocket server.
  package struct Server: Sendable, Equatable {
    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 8_080
    /// How long a stop waits for requests to finish.
    package var drainTimeout: Duration = .seconds(30)
    /// How long a stop goes on accepting HTTP, for load balancers to notice.
    package var drainDelay: Duration = .zero
    /// Origins of web pages that may call this node, as `https://example.org`; `*` allows all.
    package var allowedOrigins: [String] = []
  }

  /// Several nodes as one control plane.
  package struct HighAvailability: Sendable, Equatable {
    package var enabled = false
    /// Tells clusters on one Redis apart.
    package var clusterID = "default"
    package var leaderElection = LeaderElection()
    package var memberHealth = MemberHealth()
    package var stateSync = StateSync()
  }

  /// How a leader is elected.
  ///
  /// The durations keep the two relations of ``ElectionTimings``.
  package struct LeaderElection: Sendable, Equatable {
    /// What happens when a duty ignores that leadership has ended.
    package enum StuckDutyPolicy: String, Sendable, CaseIterable {
      case report, exit
    }

    /// Whether this node campaigns; otherwise it only watches.
    package var enabled = true
    /// How long the other nodes wait for a silent leader.
    package var leaseDuration: Duration = .seconds(15)
    /// How long a leader goes on without an acknowledged renewal.
    package var renewDeadline: Duration = .seconds(10)
    /// How long to wait between renewals and between attempts.
    package var retryPeriod: Duration = .seconds(2)
    /// Nodes with a greater priority campaign first.
    package var priority = 0
    /// Whether a node takes over its own former incarnation at once.
    package var reclaimOnRestart = false
    /// How long to wait on an absent record; the lease's duration if none is set.
    package var bootstrapWait: Duration = .seconds(15)
    package var onStuckDuty = StuckDutyPolicy.report
  }

  /// How nodes watch each other.
  package struct MemberHealth: Sendable, Equatable {
    package var checkInterval: Duration = .seconds(5)
    package var timeout: Duration = .seconds(3)
    /// How many failed checks in a row make a member unhealthy.
    package var unhealthyThreshold = 3
    /// How long an unhealthy member is remembered.
    package var removeAfter: Duration = .seconds(600)
  }

  /// How state reaches the store.
  package struct StateSync: Sendable, Equatable {
    /// How many changes at most go to the store in one batch.
    package var batchSize = 128
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
  package struct Security: Sendable, Equatable {
    /// Whether a node that is reachable from elsewhere works without any access control.
    package var allowUnauthenticated = false
    /// Whether `/metrics` and `GET /ha/status` need a key too.
    package var protectStatus = false
  }

  /// The agents' connections.
  package struct Agents: Sendable, Equatable {
    package var heartbeatInterval: Duration = .seconds(10)
    /// The silence that ends a session.
    package var heartbeatTimeout: Duration = .seconds(90)
    /// How long the tasks of a lost agent wait for it to come back.
    package var resumeGrace: Duration = .seconds(30)
    /// The largest message, in bytes.
    package var maxMessageSize = 1 << 20
    package var maxMessagesPerSecond = 100
  }

  /// The executions' life.
  package struct Executions: Sendable, Equatable {
    /// How long a finished execution is kept.
    package var retention: Duration = .seconds(86_400)
    /// How many finished executions are kept at most.
    package var maxRetained = 1_000_000
    /// How long an execution may take whose pattern and caller say nothing.
    package var defaultTimeout: Duration = .seconds(300)
    /// How long an execution waits for the first agent that can take it.
    package var agentWait: Duration = .seconds(5)
  }

  /// What one client may ask for.
  package struct Limits: Sendable, Equatable {
    /// The largest body of a request, in bytes.
    package var requestBody = 8 << 20
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
