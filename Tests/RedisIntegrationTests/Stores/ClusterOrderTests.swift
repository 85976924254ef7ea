import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import TestSupport
import Testing

/// The index entries of an execution are written before the execution, even if they are on different masters.
@Suite(.serialized, .timeLimit(.minutes(1))) struct ClusterOrderTests {
  @Test func anExecutionThatCannotBeIndexedIsNotCreated() async throws {
    try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0)) { cluster in
      var configuration = cluster.configuration
      configuration.commandTimeout = .seconds(1)
      try await withClient(configuration, scripts: RedisStateStore.scripts) { client in
        let keys = try KeySpace()
        let store = RedisStateStore(client: client, keys: keys, logger: quietLogger)
        try await eventually("the first execution") { (try? await store.create(Sample.execution("first"))) == .created }
        let list = try cluster.primary(ofKey: keys.executions(ownedBy: Sample.session))
        let id = try #require(try (0..<100).map { "exec_\($0)" }.first { try cluster.primary(ofKey: keys.execution($0)) !== list })
        list.pause()
        defer { list.resume() }
        #expect(try await storeErrorCode { try await store.create(Sample.execution(id)) } == .unavailable)
        list.resume()
        try await cluster.awaitHealthy()
        #expect(try cluster.primary(ofKey: keys.execution(id)).command("EXISTS", keys.execution(id)).number == 0)
      }
    }
  }
}
