package import ParallaxRedis
package import ParallaxServer
import ParallaxText

/// The settings of a node, with a default for each but the node's id.
///
/// The sections are those of the configuration file. The sections for Redis, pattern files and logging are not public, because only the
/// daemon has them. `ParallaxNode` checks the relations between the durations when it is made.
public struct NodeConfiguration: Sendable, Equatable {
  /// The identity of the node.
  public var node: Node
  /// The HTTP and WebSocket server.
  public var server = Server()
  /// The node's part in a cluster.
  public var highAvailability = HighAvailability()
  package var redis = Redis()
  /// Access control.
  public var security = Security()
  /// The agents' connections.
  public var agents = Agents()
  /// The lifetime of executions.
  public var executions = Executions()
  /// The limits of requests.
  public var limits = Limits()
  package var patterns = Patterns()
  package var logging = Logging()

  /// Makes a configuration of defaults.
  ///
  /// - Parameter nodeID: The node's id: 1 to 128 letters, digits, `-`, `_` or `.`, unique among the nodes of a cluster and kept over
  ///   restarts.
  public init(nodeID: String) {
    node = Node(id: nodeID)
  }
}

extension NodeConfiguration {
  /// The identity of a node.
  public struct Node: Sendable, Equatable {
    /// The node's id, unique in its cluster: 1 to 128 letters, digits, `-`, `_` or `.`.
    ///
    /// The daemon's default is the host name.
    public var id: String
    /// The address by which other nodes reach this one, as `host:port`; nil, the default, derives it from the address that the server is
    /// bound to.
    public var address: String?
  }

  /// The HTTP and WebSocket server.
  public struct Server: Sendable, Equatable {
    /// The host name or IP address to listen on; `127.0.0.1` by default, `0.0.0.0` listens on all addresses.
    public var host = "127.0.0.1"
    /// The port to listen on, 0 to 65535; 8080 by default, 0 chooses a free port.
    public var port = 8_080
    /// The longest time, after `drainDelay`, that a stopping node gives to work in progress; 30 s by default, at most an hour.
    public var drainTimeout: Duration = .seconds(30)
    /// The time that a stopping node still accepts HTTP connections, for load balancers to notice; zero by default, at most 600 s.
    public var drainDelay: Duration = .zero
    /// The host names and IP addresses, without ports, by which clients may call this node besides loopback and `node.address`; none by
    /// default.
    public var hosts: [String] = []
    /// The largest number of open connections, 1 to 1,000,000; 20,000 by default.
    ///
    /// The server refuses further ones, except for probes.
    public var maxConnections = 20_000
    /// The certificate of the server; none by default, which serves without TLS.
    public var tls = TLS()
    /// The proxies, as IP addresses or networks such as `10.0.0.0/8`, whose `X-Forwarded-Host` header is trusted; none by default.
    public var trustedProxies: [String] = []
    /// The origins of web pages that may call this node, such as `https://example.org`; `*` allows all; none by default.
    public var allowedOrigins: [String] = []
  }

  /// The files of the server's certificate, PEM.
  ///
  /// The node reads them again when they change. `parallaxd` and ``ParallaxNode`` refuse unusable files at their start.
  public struct TLS: Sendable, Equatable {
    /// The file of the certificate, followed by its intermediate certificates; nil, the default, serves without TLS.
    public var certificate: String?
    /// The file of the certificate's private key, without a passphrase.
    public var privateKey: String?
  }

  /// A node's part in a cluster.
  public struct HighAvailability: Sendable, Equatable {
    /// Whether a process beside the node says in the store that the node has ended.
    public enum WitnessPolicy: String, Sendable, CaseIterable {
      /// There is a witness where the program provides one, as the daemon does.
      case auto
      /// A crash costs a lease.
      case off
    }

    /// Whether the node shares its stores with other nodes; `false` by default, which makes it a cluster of one.
    public var enabled = false
    /// The name of the cluster, 1 to 64 letters, digits, `-`, `_` or `.`; `default` by default.
    ///
    /// A node refuses the stores of another cluster.
    public var clusterID = "default"
    /// The leader election.
    public var leaderElection = LeaderElection()
    /// The detection of lost members.
    public var memberHealth = MemberHealth()
    /// The publication of changes.
    public var stateSync = StateSync()
    /// Whether a process beside the node says in the store that the node has ended, so that a crash costs no lease; `auto` by default.
    public var witness = WitnessPolicy.auto
  }

  /// The settings of the leader election.
  ///
  /// The durations keep the two relations of `ElectionTimings`.
  public struct LeaderElection: Sendable, Equatable {
    /// The reaction to a leader's duty that ignores the end of leadership.
    public enum StuckDutyPolicy: String, Sendable, CaseIterable {
      /// Log the duty.
      case report
      /// Log the duty and call `onStuckDuty`, by which the daemon exits.
      case exit
    }

    /// Whether this node campaigns for leadership; `true` by default.
    ///
    /// Without, it only observes the election.
    public var enabled = true
    /// The time without a renewal after which other nodes may take over, 500 ms to 600 s; 15 s by default.
    public var leaseDuration: Duration = .seconds(15)
    /// The time without an acknowledged renewal after which the leader stops leading, 200 ms to 600 s; 10 s by default.
    public var renewDeadline: Duration = .seconds(10)
    /// The time between two renewals, and between two attempts, 20 ms to 600 s; 2 s by default.
    public var retryPeriod: Duration = .seconds(2)
    /// The priority, -100 to 100; 0 by default.
    ///
    /// Nodes with a greater priority campaign first.
    public var priority = 0
    /// Whether a restarted node takes over the lease of its former incarnation at once; `false` by default.
    public var reclaimOnRestart = false
    /// The wait before an election on a store without an election record, zero to an hour; 15 s by default.
    ///
    /// In a configuration file `leaseDuration` is the default.
    public var bootstrapWait: Duration = .seconds(15)
    /// The reaction to a leader's duty that ignores the end of leadership; `report` by default.
    public var onStuckDuty = StuckDutyPolicy.report
  }

  /// The settings of the detection of lost members.
  public struct MemberHealth: Sendable, Equatable {
    /// The time between two heartbeats of a node, and between two checks of the other members, 50 ms to 600 s; 5 s by default.
    public var checkInterval: Duration = .seconds(5)
    /// The time-out of one heartbeat or check, 20 ms to 600 s; 3 s by default.
    public var timeout: Duration = .seconds(3)
    /// The number of missed heartbeats in a row that make a member unhealthy, 1 to 100; 3 by default.
    public var unhealthyThreshold = 3
    /// The time after which an unhealthy member is removed, 1 s to 30 days; 600 s by default.
    public var removeAfter: Duration = .seconds(600)
  }

  /// The settings of the publication of changes.
  public struct StateSync: Sendable, Equatable {
    /// The largest number of events in one batch, 1 to 10,000; 128 by default.
    public var batchSize = 128
  }

  /// The Redis that all nodes share.
  package struct Redis: Sendable, Equatable {
    /// The server; with a cluster or sentinels only the credentials and whether to use TLS.
    package var url: RedisURL?
    package var cluster = Cluster()
    package var sentinel = Sentinel()
    package var tls = TLS()
    /// The ACL user; wins over that of `url`.
    package var username: String?
    /// The password; wins over that of `url`.
    package var password: String? {
      get { secret?.text }
      set { secret = newValue.map { Secret($0) } }
    }
    private var secret: Secret?
    /// The files of user and password, read at each login, so that a new password needs no restart.
    package var usernameFile: String?
    package var passwordFile: String?
    /// The prefix of every key and channel.
    package var keyPrefix = "parallax:"
    package var connectTimeout: Duration = .seconds(2)
    package var commandTimeout: Duration = .seconds(3)
    /// The number of replicas that must acknowledge a grant or renewal of leadership; 0 by default.
    package var requireReplicas = 0

    /// Redis Cluster.
    package struct Cluster: Sendable, Equatable {
      /// Some nodes of the cluster, from which the client discovers the others; nil without a cluster.
      package var nodes: [RedisConfiguration.Endpoint]?
    }

    /// A master watched by sentinels.
    package struct Sentinel: Sendable, Equatable {
      package var masterName: String?
      /// All sentinels; nil without sentinels.
      package var nodes: [RedisConfiguration.Endpoint]?
      /// The credentials for the sentinels.
      package var username: String?
      package var password: String? {
        get { secret?.text }
        set { secret = newValue.map { Secret($0) } }
      }
      private var secret: Secret?
    }

    /// The files for TLS.
    package struct TLS: Sendable, Equatable {
      /// The file of trusted CA certificates; nil trusts the system's.
      package var ca: String?
      /// The file of the client certificate.
      package var certificate: String?
      package var privateKey: String?
    }

    /// Whether Redis is configured; without, all state is in the memory of the process.
    package var isConfigured: Bool { url != nil || cluster.nodes != nil || sentinel.nodes != nil }

    /// Whether connections use TLS.
    package var usesTLS: Bool { url?.isTLS ?? (tls.ca != nil || tls.certificate != nil) }

    /// The servers for the first connection.
    package var endpoints: [RedisConfiguration.Endpoint] {
      cluster.nodes ?? sentinel.nodes ?? url.map { [$0.endpoint] } ?? []
    }
  }

  /// The settings of access control.
  public struct Security: Sendable, Equatable {
    /// How callers prove who they are.
    public var authentication = Authentication()
    /// Clients' certificates.
    public var mtls = MutualTLS()
    /// Whether a node that other machines can reach answers without access control; `false` by default, which refuses every request but
    /// probes, metrics and `GET /ha/status` unless there are API keys.
    public var allowUnauthenticated = false
    /// Whether metrics and `GET /ha/status` need the scope `read`; `false` by default, which opens them to everyone.
    public var protectStatus = false
  }

  /// Clients' certificates, and what their holders may do.
  public struct MutualTLS: Sendable, Equatable {
    /// Whether a client must have a certificate.
    public enum ClientAuth: String, Sendable, CaseIterable {
      /// Connections without a certificate of ``clientCA`` fail, also those of probes.
      case require
      /// Clients may do without a certificate, as on a node without mutual TLS; a certificate that is shown must be valid.
      case request
    }

    /// Whether the server asks clients for certificates; `false` by default.
    public var enabled = false
    /// The file of the server's certificate; nil, the default, takes that of `server.tls`.
    public var serverCert: String?
    /// The file of the private key of ``serverCert``.
    public var serverKey: String?
    /// The file of the authorities that sign clients' certificates.
    public var clientCA: String?
    /// Whether a client must have a certificate; `require` by default.
    public var clientAuth = ClientAuth.require
    /// The names in clients' certificates that have scopes; none by default, so that a certificate by itself opens no route.
    public var identities: [ClientIdentity] = []
  }

  /// The credentials that a node accepts.
  public struct Authentication: Sendable, Equatable {
    /// The API keys; none by default.
    ///
    /// With keys, the node answers their holders only, except on open routes.
    public var apiKeys: [APIKey] = []
    /// The rules of bearer tokens (JWT); by default no token is accepted.
    public var jwt = JWT()
  }

  /// The rules of bearer tokens (JWT, RFC 7519), which an identity provider signs.
  ///
  /// With a file of keys, ``issuer`` and ``audience`` are required: a token that was meant for another service must open nothing here.
  public struct JWT: Sendable, Equatable {
    /// The JWKS file of the provider's public keys; the node reads it again when it changes.
    public var jwksFile: String?
    /// The PEM file of the one public key, in place of ``jwksFile``; the node reads it again when it changes.
    public var publicKey: String?
    /// The issuer (`iss`) that a token must have.
    public var issuer: String?
    /// The audiences (`aud`) of which a token must have one.
    public var audience: [String] = []
    /// The claim with the scopes: a text with spaces or a list; `scope` by default.
    public var scopesClaim = "scope"
    package var algorithms = TokenAlgorithm.allCases
    /// The tolerance of a token's times, zero to 300 s; 30 s by default.
    public var leeway: Duration = .seconds(30)

    /// Whether the node accepts tokens.
    public var isEnabled: Bool { jwksFile != nil || publicKey != nil }
  }

  /// The settings of agents' connections.
  public struct Agents: Sendable, Equatable {
    /// The time between two heartbeats that the node requests of an agent, 100 ms to an hour; 10 s by default.
    public var heartbeatInterval: Duration = .seconds(10)
    /// The silence after which the node closes an agent's connection, 200 ms to a day; 90 s by default.
    public var heartbeatTimeout: Duration = .seconds(90)
    /// The time that a lost agent has to reconnect before its tasks go to others, zero to an hour; 30 s by default.
    public var resumeGrace: Duration = .seconds(30)
    /// The largest message of an agent, 1 KiB to 256 MiB, in bytes; 1 MiB by default.
    public var maxMessageSize = 1 << 20
    /// The largest number of messages per second of one agent, 1 to 1,000,000; 100 by default.
    public var maxMessagesPerSecond = 100
    /// The size, 64 bytes to 256 MiB, from which the node compresses messages to agents that offer permessage-deflate; nil, the default,
    /// agrees to no compression in either direction.
    public var compressFrom: Int?
  }

  /// The settings of executions' lifetime.
  public struct Executions: Sendable, Equatable {
    /// The time that executions are kept, counted from their end, 1 s to ten years; a day by default.
    public var retention: Duration = .seconds(86_400)
    /// The number of executions, 1 to 100,000,000, beyond which the oldest ended ones are removed; 1,000,000 by default.
    public var maxRetained = 1_000_000
    /// The time-out of an execution if neither its caller nor its pattern sets one, 1 ms to a day; 300 s by default.
    public var defaultTimeout: Duration = .seconds(300)
    /// The time that an execution with a waiting caller waits for an agent with its capabilities, zero to an hour; 5 s by default.
    public var agentWait: Duration = .seconds(5)
  }

  /// The limits of requests.
  public struct Limits: Sendable, Equatable {
    /// The largest request body, 1 KiB to 256 MiB, in bytes; 8 MiB by default.
    public var requestBody = 8 << 20
    /// The requests a minute of one caller, 1 to 1,000,000: of a key, of a certificate, or without these of an address; nil, the default,
    /// sets no limit.
    ///
    /// Probes and agents' connections do not count.
    public var requestsPerMinute: Int?
  }

  /// The patterns to load at start.
  package struct Patterns: Sendable, Equatable {
    /// The folder of pattern files; nil uses `./patterns` if it exists.
    package var directory: String?
  }

  /// The settings of the log.
  package struct Logging: Sendable, Equatable {
    /// The log levels, least severe first.
    package enum Level: String, Sendable, CaseIterable {
      case trace, debug, info, notice, warning, error, critical
    }

    /// The format of a log line.
    package enum Format: String, Sendable, CaseIterable {
      case text, json
    }

    package var level = Level.info
    /// The format; nil writes text to a terminal and JSON elsewhere.
    package var format: Format?
    /// The requests that are logged.
    package var accessLog = AccessLog.Selection.off
    /// Of the requests that have not failed, one of this many is logged.
    package var accessSample = 1
  }
}
