public import NIOSSL
import ParallaxText
public import Tracing

/// The addresses of Redis, the credentials, the time-outs and the limits.
///
/// A duration must be more than 0 and at most a day, and a limit at least 1;
/// ``RedisClient/init(configuration:scripts:eventLoopGroup:clock:logger:)`` throws otherwise.
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

  /// The servers, and the way to find the server of a command.
  public var deployment: Deployment

  /// The ACL user, which needs a ``password``; `nil`, the default, is the server's default user.
  public var username: String?

  /// The password; `nil`, the default, sends no credentials.
  ///
  /// The client never logs the password.
  public var password: String?

  /// Provides the user and the password for each login, instead of ``username`` and ``password``; `nil`, the default, for none.
  ///
  /// The closure makes a restart unnecessary when a password changes, in a mounted secret or by rotation: after a refusal the client keeps
  /// trying and calls the closure each time. It is called on a thread of Swift's pool and must not block for long; an error of the closure
  /// fails the attempt to connect.
  public var credentials: (@Sendable () throws -> Credentials)?

  /// A user and a password.
  public struct Credentials: Sendable, Hashable {
    /// The ACL user; `nil` is the default user.
    public var username: String?

    /// The password, which no description shows.
    public var password: String {
      get { secret.text }
      set { secret = Secret(newValue) }
    }

    private var secret: Secret

    /// Creates credentials.
    ///
    /// - Parameters:
    ///   - username: The ACL user; `nil` is the default user.
    ///   - password: The password.
    public init(username: String? = nil, password: String) {
      self.username = username
      secret = Secret(password)
    }
  }

  /// The number of the database; 0 by default.
  ///
  /// In a cluster only Valkey 9 and later have other databases.
  public var database = 0

  /// The name of the connections in CLIENT LIST, of visible ASCII characters without spaces; `nil`, the default, sets none.
  public var clientName: String?

  /// The TLS settings; `nil`, the default, connects without TLS.
  ///
  /// They apply to the servers with the data: sentinels have their own in ``Sentinel/tls``.
  public var tls: TLSConfiguration?

  /// The limit of one attempt to connect and log in, and of the wait for sentinels; 2 s by default.
  public var connectTimeout: Duration = .seconds(2)

  /// How long a command waits for its reply, the wait for a connection included; 3 s by default.
  ///
  /// ``RedisCommand/withTimeout(_:)`` sets another time-out for one command; the longest of a pipeline applies to all its commands. The
  /// client closes and replaces a connection when replies are due and nothing has arrived for this long, or for the longer time-out of the
  /// next command.
  public var commandTimeout: Duration = .seconds(3)

  /// How long a connection may be silent before the client probes it with PING; 5 s by default.
  public var keepAliveInterval: Duration = .seconds(5)

  /// The waits between attempts to connect.
  public var backoff = Backoff()

  /// The number of commands that may be in flight on the shared connection of each server; 65,536 by default.
  ///
  /// A further command fails with `overloaded`. A pipeline counts with all its commands; a pipeline of any length is admitted when nothing
  /// else is in flight.
  public var maximumCommandsInFlight = 65_536

  /// The bytes of commands that may be in flight on the shared connection of each server; 256 MiB by default.
  ///
  /// Further commands fail with `overloaded`. A command is admitted while the bytes before it are within the limit, so one command of any
  /// size is admitted, up to 4 GiB, which no command or pipeline may exceed.
  public var maximumBytesInFlight = 256 << 20

  /// The number of connections to one server that ``RedisClient/withConnection(forKey:_:)`` may lease at a time; 16 by default.
  ///
  /// Further callers wait; those without a connection after ``commandTimeout`` fail with `overloaded`.
  public var maximumLeasedConnections = 16

  /// The number of messages that wait for the consumer of a subscription before further ones are dropped and reported as a gap; 1,024 by
  /// default.
  ///
  /// Messages beyond 64 MiB are dropped too.
  public var subscriptionBufferSize = 1_024

  /// The largest string in a reply, in bytes; 512 MiB by default, the limit of Redis itself, and 2 GiB at most.
  public var maximumStringLength = 512 << 20

  /// The largest reply, in bytes on the wire; 1 GiB by default.
  public var maximumReplyLength = 1 << 30

  /// Creates a span for each command and each pipeline, retries included; `nil`, the default, creates none.
  ///
  /// `InstrumentationSystem.tracer` is the tracer of the process. Spans have the attributes of OpenTelemetry's conventions for Redis, and
  /// never an argument of a command. Commands on a leased connection have no spans.
  public var tracer: (any Tracer)?

  /// The requirements of the servers with the data, checked on each new shared connection; `nil` checks nothing.
  package var requirements: RedisServerRequirements?

  /// Creates a configuration with the defaults.
  ///
  /// - Parameter deployment: The servers.
  public init(deployment: Deployment) {
    self.deployment = deployment
  }

  /// Creates a configuration of a single server with the defaults.
  ///
  /// - Parameter endpoint: The address of the server.
  public init(endpoint: Endpoint) {
    self.init(deployment: .standalone(endpoint))
  }

  /// Creates a configuration of a TCP port with the defaults.
  ///
  /// - Parameters:
  ///   - host: The host name or IP address.
  ///   - port: The port; 6379 by default.
  public init(host: String, port: Int = 6_379) {
    self.init(endpoint: .host(host, port: port))
  }
}

extension RedisConfiguration {
  /// The wait before the next attempt to connect: a random time between zero and a ceiling that doubles with each failure.
  public struct Backoff: Sendable, Hashable {
    /// The ceiling of the first wait; 50 ms by default.
    public var base: Duration

    /// The highest ceiling; 2 s by default.
    public var maximum: Duration

    /// Creates a backoff.
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
