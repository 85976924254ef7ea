import ParallaxRedis
import TestSupport
import Testing

extension RedisServer {
  var endpoint: RedisConfiguration.Endpoint { .host("127.0.0.1", port: port) }
}

extension RedisClusterDeployment {
  /// A configuration for tests: short time-outs, so that failures show soon, except for commands, which must wait for failovers.
  func configuration(_ change: (inout RedisConfiguration) -> Void = { _ in }) -> RedisConfiguration {
    var configuration = RedisConfiguration(deployment: .cluster(nodes: nodes.map(\.endpoint)))
    configuration.commandTimeout = .seconds(20)
    configuration.backoff = .init(base: .milliseconds(10), maximum: .milliseconds(50))
    change(&configuration)
    return configuration
  }
}

/// Keys with different hash tags, this many for each third of the slots, which is the part of one of three masters.
func keys(_ name: String, perThird count: Int = 1) -> [String] {
  var thirds = [[String]](repeating: [], count: 3)
  for number in 0... {
    if thirds.allSatisfy({ $0.count == count }) { break }
    let key = "{\(name)\(number)}"
    let third = RedisHashSlot.of(key) * 3 / RedisHashSlot.count
    if thirds[third].count < count { thirds[third].append(key) }
  }
  return thirds.flatMap { $0 }
}

/// Runs the tests of a suite on one cluster, which runs from before the first test to after the last.
struct OnCluster: SuiteTrait, TestScoping {
  /// The cluster of the running suite.
  @TaskLocal static var running: RedisClusterDeployment?

  let options: RedisClusterDeployment.Options

  func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void) async throws {
    try await RedisClusterDeployment.with(options) { cluster in
      try await Self.$running.withValue(cluster) { try await body() }
    }
  }
}

extension Trait where Self == OnCluster {
  static func onCluster(_ options: RedisClusterDeployment.Options = .init()) -> OnCluster { OnCluster(options: options) }
}

/// Runs a client of the suite's cluster.
func withClusterClient<Value: Sendable>(
  scripts: [RedisScript] = [], _ body: @Sendable (RedisClusterDeployment, RedisClient) async throws -> Value
) async throws -> Value {
  let cluster = try #require(OnCluster.running)
  return try await withClient(cluster.configuration(), scripts: scripts) { client in try await body(cluster, client) }
}
