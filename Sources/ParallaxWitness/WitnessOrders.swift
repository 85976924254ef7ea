import ParallaxAPI
package import ParallaxHA

/// What a node tells its witness: who it is, and how to reach the store when it has ended.
///
/// One line of JSON on the pipe; a later line replaces an earlier one.
package struct WitnessOrders: Sendable, Codable, Equatable {
  /// The process id of the node: the end of another process, such as a script around the node, proves nothing.
  package var process: Int32
  /// The session of the node.
  package var session: NodeSession
  package var keyPrefix: String
  package var requiredReplicas: Int
  package var redis: RedisAccess
  /// Whether the node logs JSON.
  package var logsJSON: Bool
  private var leaseMilliseconds: Int64
  private var renewMilliseconds: Int64
  private var retryMilliseconds: Int64

  /// Makes orders.
  ///
  /// - Parameters:
  ///   - process: The process id of the node.
  ///   - session: The session of the node.
  ///   - timings: The durations of the election.
  ///   - keyPrefix: The prefix of the keys in Redis.
  ///   - requiredReplicas: The number of replicas that must acknowledge a write of the election.
  ///   - redis: The way to Redis.
  ///   - logsJSON: Whether the node logs JSON.
  package init(
    process: Int32, session: NodeSession, timings: ElectionTimings, keyPrefix: String, requiredReplicas: Int, redis: RedisAccess,
    logsJSON: Bool
  ) {
    self.process = process
    self.session = session
    self.keyPrefix = keyPrefix
    self.requiredReplicas = requiredReplicas
    self.redis = redis
    self.logsJSON = logsJSON
    leaseMilliseconds = timings.leaseDuration.wholeMilliseconds
    renewMilliseconds = timings.renewDeadline.wholeMilliseconds
    retryMilliseconds = timings.retryPeriod.wholeMilliseconds
  }

  /// The durations of the election.
  ///
  /// - Throws: `ElectionError` if they are not durations that a node accepts.
  package func timings() throws -> ElectionTimings {
    try ElectionTimings(
      leaseDuration: .milliseconds(leaseMilliseconds), renewDeadline: .milliseconds(renewMilliseconds),
      retryPeriod: .milliseconds(retryMilliseconds))
  }

  /// How long a report takes at most while no file of its settings hangs: the late writes of a lease, and a last call of the store.
  ///
  /// - Returns: The duration.
  /// - Throws: `ElectionError` as ``timings()``.
  package func longestReport() throws -> Duration {
    try timings().leaseDuration + .milliseconds(redis.connectMilliseconds) + .milliseconds(redis.commandMilliseconds)
  }

  /// The line for the pipe.
  ///
  /// - Throws: The error of the encoder.
  package func line() throws -> [UInt8] { Array(try JSON.encode(self)) + [UInt8(ascii: "\n")] }

  /// Reads a line without its end.
  ///
  /// - Parameter line: The bytes of the line.
  /// - Throws: `JSONFault` or `DecodingError`.
  package init(line: some Sequence<UInt8>) throws {
    self = try JSON.decode(from: line)
  }
}

extension Duration {
  fileprivate var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }
}
