package import ParallaxHA
package import ParallaxRedis

/// What a survey found out about the Redis of a cluster; a value without judgment.
package struct RedisFacts: Sendable {
  /// The kind of the deployment.
  package enum Deployment: Sendable, Hashable {
    case single, sentinel, cluster
  }

  /// The kind of the deployment.
  package var deployment: Deployment
  /// The addresses of the configuration, without secrets.
  package var address: String
  /// The ACL user of the configuration.
  package var user: String
  /// The prefix of all keys and channels.
  package var keyPrefix: String
  /// The error by which no server could be found, such as that of the sentinels; nil if there are ``servers``.
  package var failure: RedisError?
  /// The servers that take writes by the configuration: one, or all masters of a cluster.
  package var servers: [RedisServerFacts] = []
  /// The slots of a cluster; unknown elsewhere.
  package var slots: Fact<RedisClusterReport> = .unknown("it is no cluster")
  /// The time from the publication of a message until its receipt.
  package var roundTrip: Fact<Duration> = .unknown(Self.notAsked)
  /// The record of the election; nil if there is none.
  package var election: Fact<ElectionRecord?> = .unknown(Self.notAsked)
  /// The fields of the members.
  package var members: Fact<MembershipSnapshot> = .unknown(Self.notAsked)

  /// The reason of a fact that the survey did not reach in its time.
  package static let notAsked = "the time of the diagnosis was over before it was asked for"

  /// Creates the facts of a survey that has found nothing yet.
  package init(deployment: Deployment, address: String, user: String, keyPrefix: String, failure: RedisError? = nil) {
    self.deployment = deployment
    self.address = address
    self.user = user
    self.keyPrefix = keyPrefix
    self.failure = failure
  }
}

/// What a survey found out about one server of Redis.
package struct RedisServerFacts: Sendable {
  /// The name and the version by the server's own account.
  package struct Identity: Sendable, Hashable {
    /// The kind of server, such as `redis` or `valkey`.
    package var name: String
    /// The version, such as `7.0.15`.
    package var version: String

    package init(name: String, version: String) {
      self.name = name
      self.version = version
    }
  }

  /// The replication role.
  package enum Role: Sendable, Hashable {
    case master
    /// Follows another server, over a link in a state such as `connected`.
    case replica(of: String, link: String)
    case other(String)
  }

  /// The times of several round trips.
  package struct Latency: Sendable, Hashable {
    package var median: Duration
    package var longest: Duration

    package init(median: Duration, longest: Duration) {
      self.median = median
      self.longest = longest
    }
  }

  /// The difference of two clocks.
  package struct ClockOffset: Sendable, Hashable {
    /// By how much the server's clock is ahead of that of this machine.
    package var offset: Duration
    /// The largest error of the measurement.
    package var uncertainty: Duration

    package init(offset: Duration, uncertainty: Duration) {
      self.offset = offset
      self.uncertainty = uncertainty
    }
  }

  /// The address.
  package var server: String
  /// The arguments of `redis-cli` that address the server, without secrets.
  package var cli: String
  /// The error by which the server could not be reached; the other facts are then unknown.
  package var failure: RedisError?
  package var latency: Fact<Latency> = .unknown(RedisFacts.notAsked)
  package var identity: Fact<Identity> = .unknown(RedisFacts.notAsked)
  package var role: Fact<Role> = .unknown(RedisFacts.notAsked)
  /// The fields of INFO.
  package var info: Fact<[String: String]> = .unknown(RedisFacts.notAsked)
  /// Some of the parameters of CONFIG GET; never a secret.
  package var settings: Fact<[String: String]> = .unknown(RedisFacts.notAsked)
  /// The rights that the server denies the user, and the commands that it lacks.
  package var rights: Fact<RedisServerRequirements.Gaps> = .unknown(RedisFacts.notAsked)
  package var clock: Fact<ClockOffset> = .unknown(RedisFacts.notAsked)

  /// Creates the facts of a server that has not been asked yet.
  package init(server: String, cli: String, failure: RedisError? = nil) {
    self.server = server
    self.cli = cli
    self.failure = failure
  }
}
