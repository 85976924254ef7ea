import ParallaxHA
import ParallaxRedis
import ParallaxText
import ParallaxWitness
import Testing

@Suite struct WitnessOrdersTests {
  private static func orders(_ change: (inout RedisAccess) -> Void = { _ in }) throws -> WitnessOrders {
    var access = RedisAccess(servers: ["127.0.0.1:6379"])
    change(&access)
    return WitnessOrders(
      process: 4_711, session: NodeSession(nodeID: "node-a", incarnation: "a1"), timings: .standard, keyPrefix: "parallax:",
      requiredReplicas: 1,
      redis: access,
      logsJSON: true)
  }

  @Test func ordersAreOneLineAndReadAsTheyWereWritten() throws {
    let orders = try Self.orders {
      $0.password = Secret("line\nbreak \"quoted\"")
      $0.tls = RedisAccess.TLS(ca: "/etc/ca.pem")
      $0.sentinel = RedisAccess.Sentinel(masterName: "main", username: "u", password: Secret("p"))
    }
    let line = try orders.line()
    #expect(line.count { $0 == UInt8(ascii: "\n") } == 1 && line.last == UInt8(ascii: "\n"))
    let read = try WitnessOrders(line: line.dropLast())
    #expect(read == orders)
    #expect(try read.timings() == .standard)
  }

  @Test func aDescriptionHasNoPassword() throws {
    let orders = try Self.orders {
      $0.username = "node"
      $0.password = Secret("hidden-1")
      $0.sentinel = RedisAccess.Sentinel(masterName: "main", username: "u", password: Secret("hidden-2"))
    }
    var shown = "\(orders) \(String(reflecting: orders))"
    dump(orders, to: &shown)
    #expect(shown.contains("main") && !shown.contains("hidden"))
  }

  @Test func aReportHasTheTimeOfALeaseAndOfACall() throws {
    let orders = try Self.orders {
      $0.connectMilliseconds = 700
      $0.commandMilliseconds = 50
    }
    #expect(try orders.longestReport() == .milliseconds(15_750))
  }

  private func configuration(_ change: (inout RedisAccess) -> Void) throws -> RedisConfiguration {
    let access = try Self.orders(change).redis
    return try access.configuration(tls: try access.tlsConfiguration())
  }

  @Test func theClientConnectsAsTheNodeDoes() throws {
    var configuration = try self.configuration {
      $0.username = "node"
      $0.password = Secret("secret")
      $0.database = 3
      $0.clientName = "witness"
    }
    guard case .standalone(.host("127.0.0.1", port: 6_379)) = configuration.deployment else {
      return #expect(Bool(false), "\(configuration.deployment)")
    }
    #expect(configuration.username == "node" && configuration.password == "secret" && configuration.database == 3)
    #expect(configuration.credentials == nil && configuration.tls == nil && configuration.clientName == "witness")

    configuration = try self.configuration {
      $0.servers = ["[::1]:7000", "b"]
      $0.isCluster = true
    }
    guard case .cluster(let nodes) = configuration.deployment else { return #expect(Bool(false), "\(configuration.deployment)") }
    #expect(nodes == [.host("::1", port: 7_000), .host("b", port: 6_379)])

    configuration = try self.configuration {
      $0.servers = ["s1", "s2:26380"]
      $0.sentinel = RedisAccess.Sentinel(masterName: "main", username: "u", password: Secret("p"))
      $0.tls = RedisAccess.TLS()
    }
    guard case .sentinel(let sentinel) = configuration.deployment else { return #expect(Bool(false), "\(configuration.deployment)") }
    #expect(sentinel.masterName == "main" && sentinel.username == "u" && sentinel.password == "p" && sentinel.tls != nil)
    #expect(sentinel.sentinels == [.host("s1", port: 26_379), .host("s2", port: 26_380)])

    configuration = try self.configuration { $0.servers = ["/run/redis.sock"] }
    guard case .standalone(.unixSocket("/run/redis.sock")) = configuration.deployment else {
      return #expect(Bool(false), "\(configuration.deployment)")
    }
  }
}

@Suite struct WitnessInboxTests {
  private func inbox(_ texts: String...) -> WitnessInbox {
    var inbox = WitnessInbox()
    for text in texts { inbox.append(text.utf8) }
    return inbox
  }

  @Test func theLastWholeLineCounts() {
    #expect(inbox().orders == nil)
    #expect(inbox("{\"a\":1").orders == nil)
    #expect(inbox("{\"a\"", ":1}\n").orders == Array("{\"a\":1}".utf8))
    #expect(inbox("1\n2\n3").orders == Array("2".utf8))
  }

  @Test func aDischargeEndsTheOrdersUnlessItIsCutShort() {
    #expect(inbox("1\ndischarged\n").isDischarged)
    #expect(!inbox("1\ndischarged").isDischarged)
    #expect(!inbox("1\ndischarged\n2\n").isDischarged)
  }

  @Test func aLineBeyondTheBoundIsSkippedAndHoldsNoMemory() {
    let long = String(repeating: "x", count: WitnessInbox.longestLine + 1)
    #expect(inbox(long, long, "\n").orders == nil)
    #expect(inbox(long, "\n1\n").orders == Array("1".utf8))
  }
}
