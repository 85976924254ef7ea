import ParallaxRedis
import TestSupport
import Testing

extension SentinelTests {
  @Suite("Failover under load", .timeLimit(.minutes(1)))
  struct Failover {
    @Test(
      "By command, with TLS and passwords: no idempotent write fails, and no reply is wrong",
      .enabled(if: RedisServer.hasTLS))
    func byCommand() async throws {
      let options = RedisSentinelDeployment.Options(
        password: "for-servers", sentinelPassword: "for-sentinels", tls: .init(try await TestCertificates(), clientCertificates: .required))
      try await RedisSentinelDeployment.withClient(options) { deployment, client async throws in
        let former = try deployment.primary()
        let report = try await WriterLoad.run(on: client) { load in
          let master = try await deployment.failover()
          try await eventually("the client writes to the new master") { try await client.portInUse() == master.port }
          try await load.progress()
        }
        try check(report, deployment, "by command")
        try checkLosses(report, of: former)
      }
    }

    @Test(
      "By Valkey's COORDINATED: no acknowledged write is lost, and the former master is a replica at once",
      .enabled(if: RedisServer.isValkey))
    func coordinated() async throws {
      try await RedisSentinelDeployment.withClient { deployment, client async throws in
        let former = try deployment.primary()
        let report = try await WriterLoad.run(on: client) { load in
          let master = try await deployment.failover(coordinated: true)
          #expect(try former.command("ROLE").elements.first?.text == "slave")
          try await eventually("the client writes to the new master") { try await client.portInUse() == master.port }
          try await load.progress()
        }
        try check(report, deployment, "coordinated")
        #expect(report.lost == 0)
      }
    }

    @Test(
      "By kill -9: no idempotent write fails, no reply is wrong, and the killed server receives no write when it returns")
    func byKill() async throws {
      try await RedisSentinelDeployment.withClient { deployment, client async throws in
        let report = try await WriterLoad.run(on: client) { load in
          try deployment.delayDemotion()
          let former = try deployment.killPrimary()
          let began = ContinuousClock.now
          // A lease that is requested during the outage waits for the new master, like any command.
          let leased = try await client.withConnection { try await $0.send(.whichServer).port }
          print("sentinel, kill -9: a lease at the new master after \(ContinuousClock.now - began)")
          #expect(leased != former.port)
          try await load.progress()
          // The server is a master again, and has lost all data.
          try await former.start()
          for _ in 0..<3 {
            try deployment.primary().command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            try await load.progress()
          }
          #expect(try former.command("ROLE").elements.first?.text == "master", "it was demoted before the end: nothing is proved")
          #expect(try former.command("DBSIZE").number == 0)
        }
        try check(report, deployment, "kill -9")
      }
    }

    private func check(_ report: WriterReport, _ deployment: RedisSentinelDeployment, _ what: String) throws {
      print("sentinel, \(what): \(report.summary)")
      let complaints = try report.complaints(deployment.primary())
      #expect(complaints == [])
      #expect(report.failures.allSatisfy { $0.code == .unknownOutcome && $0.mayHaveExecuted && $0.command == "INCR" }, "\(report.failures)")
      #expect(report.longestPause < .seconds(10))
    }

    /// The lost writes were acknowledged by the former master while the sentinels still named it, and not replicated; no write was sent to
    /// it after the new master's first answer.
    private func checkLosses(_ report: WriterReport, of former: RedisServer) throws {
      try former.withConnection { connection in
        guard try connection.command("ROLE").elements.first?.text == "master" else { return }
        for (writer, count) in report.counts.enumerated() {
          guard let peak = count.peak else { continue }
          let counter = try connection.command("GET", WriterLoad.counterKey(writer)).number ?? -1
          #expect((peak...peak + count.unknownAtPeak).contains(counter))
        }
      }
    }
  }
}
