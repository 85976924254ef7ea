import ParallaxAPI
import ParallaxRedis
import ParallaxRedisStores
import Testing

@testable import ParallaxControlPlane

/// The judgments about the cluster; each case changes one fact of a healthy one.
@Suite struct ClusterVerdictTests {
  private static func member(
    _ id: String, incarnation: String = "1", cluster: String? = "production", isAlive: Bool = true, isHealthy: Bool = true,
    leads: Bool = false, isBelieved: Bool = false, term: Int64 = 7, clock: ClosedRange<Duration>? = .zero ... .seconds(5)
  ) -> ClusterFacts.Member {
    ClusterFacts.Member(
      id: id, incarnation: incarnation, clusterID: cluster, address: "\(id):8080", isAlive: isAlive, isHealthy: isHealthy,
      claimsToLead: leads, isBelieved: isBelieved, term: term, clock: clock)
  }

  private static func election(_ change: (inout ClusterFacts.Election) -> Void = { _ in }) -> ClusterFacts.Election {
    var election = ClusterFacts.Election(
      record: .held(by: "a"), term: 7, leaseRemaining: .seconds(10), leaseDuration: .seconds(15))
    change(&election)
    return election
  }

  /// A cluster of a, which leads, and b, seen by a.
  private static func facts(
    members: [ClusterFacts.Member] = [member("a", leads: true, isBelieved: true), member("b")],
    election: ClusterFacts.Election = election(), _ change: (inout ClusterFacts) -> Void = { _ in }
  ) -> ClusterFacts {
    var facts = ClusterFacts(
      nodeID: "a", incarnation: "1", clusterID: "production", keyPrefix: "parallax:", leaseDuration: .seconds(15),
      members: .known(members), election: .known(election),
      sync: .known(.init(last: .milliseconds(2), overdue: nil, waiting: 0)), backlog: .known(.init(sessions: 0, executions: 0)))
    change(&facts)
    return facts
  }

  private func verdict(_ check: DiagnosisCheck, _ facts: ClusterFacts, redis: RedisFacts? = nil) throws -> Verdict {
    try #require(ClusterVerdicts(facts: facts, redis: redis).verdict(of: check))
  }

  private static let ofCluster = DiagnosisCheck.allCases.filter { ClusterVerdicts(facts: facts(), redis: nil).verdict(of: $0) != nil }

  @Test func aHealthyClusterPassesEveryCheck() throws {
    for check in Self.ofCluster { #expect(try verdict(check, Self.facts()).status == .ok, "\(check.rawValue)") }
    let all = Diagnosis.findings(Self.facts(), .unknown("there is no Redis"), requiredReplicas: 0)
    #expect(all.map(\.id) + ["node.answers"] == DiagnosisCheck.allCases.map(\.rawValue))
  }

  // MARK: Clocks

  @Test(arguments: [
    (Duration.seconds(60), Duration.seconds(65), DiagnosisStatus.warn, "60 s ahead"), (.seconds(-60), .seconds(-55), .warn, "55 s behind"),
    (.milliseconds(-900), .milliseconds(4_100), .ok, "agree"), (.milliseconds(999), .seconds(6), .ok, "agree"),
    (.seconds(-4), .seconds(1), .ok, "agree"),
  ])
  func theClockOfAnotherNode(from: Duration, to: Duration, status: DiagnosisStatus, words: String) throws {
    let verdict = try verdict(.clockNodes, Self.facts(members: [Self.member("a"), Self.member("b", clock: from...to)]))
    #expect(verdict.status == status && verdict.summary.contains(words), "\(verdict)")
  }

  @Test func aSilentNodesClockIsNotJudged() throws {
    let silent = Self.member("b", isAlive: false, clock: .seconds(-90) ... .seconds(-85))
    #expect(try verdict(.clockNodes, Self.facts(members: [Self.member("a"), silent])).status == .skip)
  }

  // MARK: The store and its users

  @Test func anotherClusterOnTheSameKeysIsNamed() throws {
    let stranger = Self.member("x", cluster: "staging")
    let verdict = try verdict(.storeShared, Self.facts(members: [Self.member("a"), stranger]))
    #expect(verdict.status == .fail && verdict.summary.contains("x at x:8080 of cluster \"staging\""), "\(verdict)")
    let dead = Self.member("x", cluster: "staging", isAlive: false)
    #expect(try self.verdict(.storeShared, Self.facts(members: [Self.member("a"), dead])).status == .ok)
  }

  @Test func aNodeAloneSharesItsKeysWithNobody() throws {
    let facts = Self.facts(members: [Self.member("a", cluster: nil), Self.member("b", cluster: nil)]) { $0.clusterID = nil }
    #expect(try verdict(.storeShared, facts).status == .fail)
    let alone = Self.facts(members: [Self.member("a", cluster: nil)]) { $0.clusterID = nil }
    #expect(try verdict(.storeShared, alone).status == .ok)
  }

  @Test func theRecordOfAnotherClusterIsAFailureAndThatOfALoneNodeIsNot() throws {
    #expect(try verdict(.storeShared, Self.facts(election: Self.election { $0.clusterID = "staging" })).status == .fail)
    #expect(try verdict(.storeShared, Self.facts(election: Self.election { $0.clusterID = RecordAdoption.aloneClusterID })).status == .ok)
  }

  @Test func aFieldOfAnotherProgramIsNamed() throws {
    let verdict = try verdict(.storeShared, Self.facts { $0.unreadable = ["odd": "it is no object"] })
    #expect(verdict.status == .fail && verdict.remedy?.contains("HDEL parallax:ha:members \"odd\"") == true)
  }

  @Test func twins() throws {
    let other = Self.member("a", incarnation: "2")
    #expect(try verdict(.nodeTwin, Self.facts { $0.twin = other }).status == .fail)
    #expect(try verdict(.nodeTwin, Self.facts(members: [other])).status == .fail)
    #expect(try verdict(.nodeTwin, Self.facts(members: [Self.member("a", incarnation: "2", isAlive: false)])).status == .ok)
    // Before the start a node with this id is a reason to ask, not yet a fault.
    let offline = try verdict(.nodeTwin, Self.facts(members: [other]) { $0.incarnation = nil })
    #expect(offline.status == .warn && offline.summary.contains("a:8080"))
  }

  // MARK: Leadership

  @Test(arguments: [
    (ClusterFacts.Election.Record.absent, "no record"), (.bootstrap, "wait a whole lease"), (.released, "given up"),
    (.held(by: "b"), "lease of b has ended"),
  ])
  func whyNobodyLeads(record: ClusterFacts.Election.Record, cause: String) throws {
    let verdict = try verdict(
      .haLeader,
      Self.facts(
        election: Self.election {
          $0.record = record
          $0.leaseRemaining = .zero
        }))
    #expect(verdict.status == .fail && verdict.cause?.contains(cause) == true, "\(verdict)")
  }

  private static let ended = election {
    $0.record = .released
    $0.leaseRemaining = nil
  }

  @Test func aPauseIsWhyNobodyLeads() throws {
    var election = Self.ended
    election.isPaused = true
    let verdict = try verdict(.haLeader, Self.facts(election: election))
    #expect(verdict.status == .fail && verdict.remedy == "parallax ha resume")
  }

  @Test func withoutAHealthyNodeNobodyCampaigns() throws {
    let verdict = try verdict(.haLeader, Self.facts(members: [Self.member("a", isHealthy: false)], election: Self.ended))
    #expect(verdict.cause?.contains("no node is healthy") == true)
    let watching = try self.verdict(.haLeader, Self.facts(members: [Self.member("a")], election: Self.ended) { $0.campaigns = false })
    #expect(watching.cause?.contains("leaderElection.enabled is false") == true)
  }

  @Test func theElectionsOwnProblemIsTheCause() throws {
    var election = Self.ended
    election.problem = "the stored election record cannot be read"
    #expect(try verdict(.haLeader, Self.facts(election: election)).cause == election.problem)
  }

  @Test func aSilentLeaderIsAWarningUntilItsLeaseEnds() throws {
    let members = [Self.member("a"), Self.member("b", isAlive: false, leads: true)]
    let verdict = try verdict(.haLeader, Self.facts(members: members, election: Self.election { $0.record = .held(by: "b") }))
    #expect(verdict.status == .warn && verdict.summary.contains("b holds the lease"))
  }

  @Test func anUnknownElectionIsSkippedWithItsReason() throws {
    let facts = Self.facts { $0.election = .unknown("the store does not answer") }
    for check in [DiagnosisCheck.haLeader, .haLease] { #expect(try verdict(check, facts) == .skip("the store does not answer")) }
  }

  @Test func overlappingClaimsAreAFailureThatNamesThemWithTheirTerms() throws {
    let members = [Self.member("a", leads: true, isBelieved: true), Self.member("b", leads: true, isBelieved: true)]
    let verdict = try verdict(.haClaims, Self.facts(members: members))
    #expect(verdict.status == .fail && verdict.summary.hasSuffix("a (term 7), b (term 7)"), "\(verdict)")
    #expect(verdict.remedy?.contains("parallax ha elect --force") == true)
  }

  @Test func aClaimOfTheRecordsTermByAnotherNodeOverlaps() throws {
    let verdict = try verdict(.haClaims, Self.facts(members: [Self.member("a"), Self.member("b", leads: true, term: 7)]))
    #expect(verdict.status == .fail && verdict.summary.contains("a (term 7, by the record)"), "\(verdict)")
  }

  @Test func leftoverClaimsDoNotOverlap() throws {
    let former = [Self.member("a", leads: true, isBelieved: true), Self.member("b", leads: true, term: 6)]
    #expect(try verdict(.haClaims, Self.facts(members: former)).status == .ok)
    let beforeItsNextHeartbeat = [Self.member("a"), Self.member("b", leads: true, term: 6)]
    #expect(try verdict(.haClaims, Self.facts(members: beforeItsNextHeartbeat)).status == .ok)
    let dead = [Self.member("a", leads: true, isBelieved: true), Self.member("b", isAlive: false, leads: true)]
    #expect(try verdict(.haClaims, Self.facts(members: dead)).status == .ok)
  }

  @Test func aDifferentLeaseIsAWarning() throws {
    #expect(try verdict(.haLease, Self.facts(election: Self.election { $0.leaseDuration = .seconds(20) })).status == .warn)
    #expect(try verdict(.haLease, Self.facts(election: Self.ended)).status == .skip)
  }

  // MARK: Work

  private static func redis(_ change: (inout RedisFacts) -> Void = { _ in }) -> RedisFacts {
    var facts = RedisFacts(deployment: .single, address: "r", user: "default", keyPrefix: "parallax:")
    var server = RedisServerFacts(server: "r", cli: "redis-cli")
    server.latency = .known(.init(median: .milliseconds(1), longest: .milliseconds(1)))
    facts.servers = [server]
    facts.roundTrip = .known(.milliseconds(1))
    change(&facts)
    return facts
  }

  @Test(arguments: [(249, DiagnosisStatus.ok), (250, .warn), (999, .warn), (1_000, .fail)])
  func lag(milliseconds: Int, status: DiagnosisStatus) throws {
    let facts = Self.facts { $0.sync = .known(.init(last: .milliseconds(1), overdue: .milliseconds(milliseconds), waiting: 0)) }
    #expect(try verdict(.syncLag, facts).status == status)
  }

  @Test func theCauseOfALagIsFoundInTheOtherFacts() throws {
    func cause(waiting: Int = 0, _ change: (inout RedisFacts) -> Void = { _ in }) throws -> String? {
      let facts = Self.facts { $0.sync = .known(.init(last: .seconds(2), overdue: nil, waiting: waiting)) }
      return try verdict(.syncLag, facts, redis: Self.redis(change)).cause
    }
    #expect(try cause { $0.servers[0].failure = RedisError(.timedOut, message: "late") } == "Redis does not answer")
    #expect(try cause { $0.roundTrip = .unknown("denied") } == "published messages do not arrive: denied")
    #expect(try cause { $0.servers[0].latency = .known(.init(median: .milliseconds(80), longest: .seconds(1))) }?.contains("80 ms") == true)
    #expect(try cause(waiting: 500)?.contains("500 events") == true)
    #expect(try cause()?.contains("in this node") == true)
  }

  @Test func aBacklogNeedsALeader() throws {
    let backlog: (inout ClusterFacts) -> Void = { $0.backlog = .known(.init(sessions: 1, executions: 40)) }
    let verdict = try verdict(.recoveryBacklog, Self.facts(backlog))
    #expect(verdict.status == .warn && verdict.summary.hasPrefix("40 executions"))
    let leaderless = try self.verdict(.recoveryBacklog, Self.facts(election: Self.ended, backlog))
    #expect(leaderless.status == .fail && leaderless.remedy == "see ha.leader")
    let done = try self.verdict(.recoveryBacklog, Self.facts { $0.backlog = .known(.init(sessions: 2, executions: 0)) })
    #expect(done.status == .ok)
  }
}
