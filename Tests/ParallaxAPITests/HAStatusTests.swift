import ParallaxAPI
import Testing

@Suite struct HAStatusTests {
  private static let heartbeat = Timestamp(milliseconds: 1_705_314_600_999)

  private static func member(
    _ number: Int, _ role: HARole = .standby, _ status: HAMemberStatus = .healthy, lastSeen: Duration? = .seconds(1), term: Int64? = nil
  ) -> HAStatusDocument.Member {
    HAStatusDocument.Member(
      id: "parallax-control-plane-\(number)", address: "10.0.0.\(number + 1):8080", role: role, status: status, lastHeartbeat: heartbeat,
      lastSeen: lastSeen, term: term)
  }

  private static let healthy = HAStatusDocument(
    clusterId: "production", leader: "parallax-control-plane-0", term: 5,
    members: [member(0, .leader, lastSeen: .milliseconds(2_900)), member(1), member(2, lastSeen: .milliseconds(1_999))])

  // MARK: The table

  @Test func theTableMatchesTheSpecification() {
    #expect(
      Self.healthy.table == """
        Cluster: production
        Members: 3
        Leader: parallax-control-plane-0

        Node                      Status    Role      Last Seen
        parallax-control-plane-0  healthy   leader    2s ago
        parallax-control-plane-1  healthy   standby   1s ago
        parallax-control-plane-2  healthy   standby   1s ago
        """)
  }

  @Test func columnsAreAsWideAsTheirWidestValue() {
    var document = Self.healthy
    document.members[1] = Self.member(1, .standby, .unhealthy, lastSeen: .seconds(95))
    document.members[2].id = "c"
    #expect(
      document.table == """
        Cluster: production
        Members: 3
        Leader: parallax-control-plane-0

        Node                      Status     Role      Last Seen
        parallax-control-plane-0  healthy    leader    2s ago
        parallax-control-plane-1  unhealthy  standby   1m35s ago
        c                         healthy    standby   1s ago
        """)
  }

  @Test func severalLeadersAreShownAndNoted() {
    var document = Self.healthy
    document.members[0].term = 5
    document.members[1] = Self.member(1, .leader, term: 6)
    #expect(
      document.table == """
        Cluster: production
        Members: 3
        Leader: parallax-control-plane-0, parallax-control-plane-1

        Node                      Status    Role      Last Seen
        parallax-control-plane-0  healthy   leader    2s ago
        parallax-control-plane-1  healthy   leader    1s ago
        parallax-control-plane-2  healthy   standby   1s ago

        Split brain: 2 nodes hold valid claims to lead: parallax-control-plane-0 (term 5), parallax-control-plane-1 (term 6). \
        Check the network and the store, then run: parallax ha elect --force
        """)
  }

  @Test func aMissingLeaderAPauseAndAStaleViewAreNoted() {
    let document = HAStatusDocument(
      clusterId: "production", paused: true, stale: true, staleSince: Timestamp(milliseconds: 1_705_314_600_000), members: [])
    #expect(
      document.table == """
        Cluster: production
        Members: 0
        Leader: none

        Node  Status    Role      Last Seen

        Paused: elections are suspended until: parallax ha resume
        Stale: the store has not answered since 2024-01-15T10:30:00.000Z; this is the last known state.
        """)
  }

  @Test func aLeaderThatIsNotYetAMemberIsNamed() {
    var document = Self.healthy
    document.leader = "new"
    document.members[0].role = .standby
    #expect(document.leaders == ["new"])
    document.members[0].role = .leader
    #expect(document.leaders == ["new", "parallax-control-plane-0"])
  }

  @Test func aNodesIDCannotControlTheTerminal() {
    var document = Self.healthy
    document.members[1].id = "evil\u{1b}[2J"
    #expect(!document.table.unicodeScalars.contains("\u{1b}"))
    #expect(document.table.contains("evil\u{fffd}[2J"))
  }

  // MARK: JSON

  @Test func theDocumentExtendsThatOfTheSpecification() throws {
    var document = Self.healthy
    document.members = [Self.member(0, .leader, lastSeen: .milliseconds(2_900), term: 5)]
    document.transitions = 3
    document.leaseRemaining = WireDuration(.milliseconds(8_500))
    #expect(
      try JSON.text(document)
        == #"{"clusterId":"production","leader":"parallax-control-plane-0","leaseRemaining":8500,"members":["#
        + #"{"address":"10.0.0.1:8080","id":"parallax-control-plane-0","lastHeartbeat":"2024-01-15T10:30:00Z","lastSeen":2900,"#
        + #""role":"leader","status":"healthy","term":5}],"paused":false,"stale":false,"term":5,"transitions":3}"#)
  }

  @Test func aMissingLeaderIsNull() throws {
    #expect(
      try JSON.text(HAStatusDocument(clusterId: "c", members: []))
        == #"{"clusterId":"c","leader":null,"leaseRemaining":null,"members":[],"paused":false,"stale":false,"term":null,"#
        + #""transitions":0}"#)
  }

  @Test func theSpecificationsExampleIsDecoded() throws {
    let document = try JSON.decode(
      HAStatusDocument.self,
      from: """
        {"clusterId": "production", "members": [
          {"id": "parallax-control-plane-0", "address": "10.0.0.1:8080", "role": "leader", "status": "healthy",
           "lastHeartbeat": "2024-01-15T10:30:00Z"},
          {"id": "parallax-control-plane-1", "address": "10.0.0.2:8080", "role": "standby", "status": "healthy",
           "lastHeartbeat": "2024-01-15T10:30:01Z"}]}
        """)
    #expect(document.leaders == ["parallax-control-plane-0"])
    #expect(document.members.map(\.lastHeartbeat.milliseconds) == [1_705_314_600_000, 1_705_314_601_000])
    #expect(document.table.contains("parallax-control-plane-1  healthy   standby   -"))
  }

  @Test func aDocumentSurvivesARoundTrip() throws {
    var document = Self.healthy
    document.stale = true
    document.staleSince = Self.heartbeat
    for index in document.members.indices { document.members[index].lastHeartbeat = Timestamp(milliseconds: 1_705_314_600_000) }
    #expect(try JSON.decode(HAStatusDocument.self, from: JSON.text(document)) == document)
  }

  // MARK: Requests and their answers

  @Test func anEmptyRequestHasTheDefaults() throws {
    #expect(try JSON.decode(StepDownRequest.self, from: "{}") == StepDownRequest())
    #expect(try JSON.decode(ElectRequest.self, from: "{}") == ElectRequest(force: false))
    #expect(try JSON.text(StepDownRequest(to: "b", reason: "upgrade", term: 7)) == #"{"reason":"upgrade","term":7,"to":"b"}"#)
  }

  @Test func aHandoverNamesTheLeadersAndTheDuration() throws {
    let document = HandoverDocument(old: "a", new: nil, term: 6, took: .microseconds(12_900))
    #expect(try JSON.text(document) == #"{"milliseconds":12,"new":null,"old":"a","term":6}"#)
    #expect(try JSON.decode(HandoverDocument.self, from: JSON.text(document)) == document)
  }
}
