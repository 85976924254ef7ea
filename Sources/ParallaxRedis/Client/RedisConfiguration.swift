public import NIOSSL
public import Tracing

/// Where Redis is, how to log in, and how patient to be.
///
/// A time has to be more than nothing and at most a day, a bound 1 or more;
/// ``RedisClient/init(configuration:scripts:eventLoopGroup:logger:)`` refuses others.
public struct RedisConfiguration: Sendable {
  /// The address of a server.
  public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// A host name or IP address and a TCP port.
    case host(String, port: Int)
    /// The path of a Unix domain socket.
    case unixSocket(path: String)

    /// `host:port` or the path of the socket.
    public var description: String {
      switch self {
      case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      case .unixSocket(let path): path
      }
    }
  }

  /// The servers, and how the client finds the server for a command.
  public var deployment: Deployment

  /// The ACL user, which needs a ``password``; `nil` is the server's default user.
  public var username: String?

  /// The password; `nil` does not log in.
  ///
  /// It is never logged.
  public var password: String?

  /// Provides user and password anew at each log-in, in place of ``username`` and ``password``; `nil` for none.
  ///
  /// With it a password that changes, in a mounted secret or by rotation, needs no restart: after a refusal the client tries on, and asks
  /// again each time. It is called on a thread of Swift's pool and should return soon; the attempt to connect fails with what it throws.
  public var credentials: (@Sendable () throws -> Credentials)?

  /// A user and a password.
  public struct Credentials: Sendable, Hashable {
    /// The ACL user; `nil` is the default user.
    public var username: String?

    /// The password.
    public var password: String

    /// Names a user and its password.
    ///
    /// - Parameters:
    ///   - username: The ACL user; `nil` is the default user.
    ///   - password: The password.
    public init(username: String? = nil, password: String) {
      self.username = username
      self.password = password
    }
  }

  /// The number of the database, 0 by default; in a cluster only Valkey 9 and later have others.
  public var database = 0

  /// The name that CLIENT LIST shows for the connections, of visible ASCII characters without spaces; `nil` sets none.
  public var clientName: String?

  /// The TLS settings; `nil` speaks without TLS.
  ///
  /// They are for the servers with the data: sentinels have their own in ``Sentinel/tls``.
  public var tls: TLSConfiguration?

  /// How long one attempt to connect and log in may take, and how long sentinels are waited for; 2 s by default.
  public var connectTimeout: Duration = .seconds(2)

  /// How long a command waits for its reply, waiting for a connection included; 3 s by default.
  ///
  /// ``RedisCommand/withTimeout(_:)`` gives a command a time-out of its own; the longest of a pipeline applies to all its commands. A
  /// connection is closed and replaced when replies are due and nothing has arrived for this long, or for the longer time-out of the next
  /// command.
  public var commandTimeout: Duration = .seconds(3)

  /// How long a connection may be silent before it is probed with PING; 5 s by default.
  public var keepAliveInterval: Duration = .seconds(5)

  /// How long to wait between attempts to connect.
  public var backoff = Backoff()

  /// How many commands may be in flight on the shared connection of each server; 65,536 by default.
  ///
  /// One more fails with `overloaded`. A pipeline counts with all its commands; one of any length can pass when nothing else is in flight.
  public var maximumCommandsInFlight = 65_536

  /// How many bytes of commands may be in flight on the shared connection of each server; 256 MiB by default.
  ///
  /// More fails with `overloaded`. A command is admitted while the bytes before it are within the limit, so one command of any
  /// size can pass, up to 4 GiB, which no command or pipeline may exceed.
  public var maximumBytesInFlight = 256 << 20

  /// How many connections to one server ``RedisClient/withConnection(forKey:_:)`` may lease at a time; 16 by default.
  ///
  /// Further callers wait, and fail with `overloaded` after ``commandTimeout``.
  public var maximumLeasedConnections = 16

  /// How many messages wait for the consumer of a subscription before further ones are dropped and reported as a gap; 1,024 by default.
  ///
  /// The same happens when 64 MiB of messages are waiting.
  public var subscriptionBufferSize = 1_024

  /// The largest string that a reply may hold, in bytes; 512 MiB by default, which is Redis's own limit, and 2 GiB at most.
  public var maximumStringLength = 512 << 20

  /// The largest reply, in bytes on the wire; 1 GiB by default.
  public var maximumReplyLength = 1 << 30

  /// Makes a span for each command and each pipeline, retries included; `nil`, the default, makes none.
  ///
  /// `InstrumentationSystem.tracer` is the process's. Spans have the attributes of OpenTelemetry's conventions for Redis, and never
  /// an argument of a command. Commands on a leased connection have none of their own.
  public var tracer: (any Tracer)?

  /// What the servers with the data have to offer; checked on each new shared connection, `nil` checks nothing.
  package var requirements: RedisServerRequirements?

  /// Makes a configuration with the defaults.
  ///
  /// - Parameter deployment: Which servers there are.
  public init(deployment: Deployment) {
    self.deployment = deployment
  }

  /// Makes a configuration of a single server with the defaults.
  ///
  /// - Parameter endpoint: Where the server listens.
  public init(endpoint: Endpoint) {
    self.init(deployment: .standalone(endpoint))
  }

  /// Makes a configuration for a TCP port with the defaults.
  ///
  /// - Parameters:
  ///   - host: The host name or IP address.
  ///   - port: The port; 6379 by default.
  public init(host: String, port: Int = 6_379) {
    self.init(endpoint: .host(host, port: port))
  }
}

extension RedisConfiguration {
  /// How long to wait before the next attempt to connect: a random time between zero and a ceiling that doubles with each failure.
  public struct Backoff: Sendable, Hashable {
    /// The ceiling of the first wait; 50 ms by default.
    public var base: Duration

    /// The highest ceiling; 2 s by default.
    public var maximum: Duration

    /// Makes a backoff.
    ///
    /// - Parameters:
    ///   - base: The ceiling of the first wait.
    ///   - maximum: The highest ceiling.
    public init(base: Duration = .milliseconds(50), maximum: Duration = .seconds(2)) {
      self.base = base
      self.maximum = maximum
    }
  }
}
