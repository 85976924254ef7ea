import Foundation
import ParallaxHA
import Testing

@Suite struct ElectionRecordTests {
  private static let record: ElectionRecord = {
    var record = ElectionRecord(
      clusterID: "production", leader: "cp-0", address: "10.0.0.1:8080", incarnation: "a1", term: 1_700_000_000_001, renewalCount: 7,
      sequence: 9,
      transitionCount: 3, leaseDuration: .seconds(15))
    record.request = ElectionRequest(id: "r", kind: .stepDown, to: "cp-1", targetTerm: 5)
    record.reservation = ElectionHold(id: "h", node: "cp-1", duration: .milliseconds(250))
    record.cooldown = ElectionHold(id: "b", node: "cp-0", duration: .seconds(1))
    record.acquiredAt = Date(timeIntervalSince1970: 1_768_473_000.25)
    record.renewedAt = Date(timeIntervalSince1970: 1_768_473_004)
    return record
  }()

  @Test func theJSONHasTheDocumentedFields() throws {
    let text = String(decoding: try Self.record.encoded(), as: UTF8.self)
    #expect(
      text == """
        {"acquiredAt":"2026-01-15T10:30:00.250Z","address":"10.0.0.1:8080","barred":{"duration":1000,"id":"b","node":"cp-0"},\
        "bootstrap":false,"clusterId":"production","incarnation":"a1","leader":"cp-0","leaseDuration":15000,"paused":false,\
        "renewal":7,"renewedAt":"2026-01-15T10:30:04.000Z","request":{"id":"r","kind":"stepDown","targetTerm":5,"to":"cp-1"},\
        "reserved":{"duration":250,"id":"h","node":"cp-1"},"sequence":9,"term":1700000000001,"transitions":3,"version":1}
        """)
  }

  @Test func aReleasedRecordHasNoLeader() throws {
    var record = Self.record
    record.leader = nil
    let text = String(decoding: try record.encoded(), as: UTF8.self)
    #expect(text.contains(#""leader":null"#))
    #expect(try ElectionRecord(decoding: Array(text.utf8)).isReleased)
  }

  @Test func aRecordSurvivesARoundTrip() throws {
    #expect(try ElectionRecord(decoding: Self.record.encoded()) == Self.record)
  }

  @Test(
    "What no node of this version wrote is unreadable",
    arguments: [
      "", "{}", "null", "[1]", "\u{0}", String(repeating: "[", count: 100_000),
      #"{"bootstrap":false,"clusterId":"c","incarnation":"i","leaseDuration":15000,"renewal":1,"sequence":1,"term":1,"transitions":1,"version":2}"#,
      #"{"bootstrap":false,"clusterId":"c","incarnation":"i","leaseDuration":15000,"renewal":1,"sequence":1,"term":-1,"transitions":1,"version":1}"#,
      #"{"clusterId":"c","incarnation":"i","leaseDuration":15000,"renewal":1,"sequence":9223372036854775807,"term":1,"transitions":1,"version":1}"#,
      #"{"clusterId":"c","incarnation":"i","leaseDuration":9223372036854775807,"renewal":1,"sequence":1,"term":1,"transitions":1,"version":1}"#,
      #"{"bootstrap":true,"leader":"n","clusterId":"c","incarnation":"i","leaseDuration":1,"renewal":1,"sequence":1,"term":1,"transitions":1,"version":1}"#,
    ])
  func unreadable(_ text: String) {
    #expect {
      _ = try ElectionRecord(decoding: Array(text.utf8))
    } throws: {
      ($0 as? ElectionError)?.code == .unreadableRecord
    }
  }
}

@Suite struct ElectionTimingsTests {
  @Test func aLeaseWithoutOtherTimingsKeepsTheProportions() throws {
    let timings = try ElectionTimings(leaseDuration: .seconds(15))
    #expect(timings == .standard)
    #expect(try ElectionTimings(leaseDuration: .seconds(1)).renewDeadline == .seconds(1) * 10 / 15)
  }

  @Test func aRenewDeadlineTooCloseToTheLeaseIsRefusedWithBothValues() {
    let error = #expect(throws: ElectionError.self) {
      try ElectionTimings(leaseDuration: .seconds(15), renewDeadline: .seconds(13), retryPeriod: .seconds(2))
    }
    #expect(error?.code == .invalidTimings)
    #expect(error?.message.contains("leaseDuration / (renewDeadline + stopBudget)") == true)
    #expect(error?.message.contains("15.0 seconds / (13.0 seconds + 1.5 seconds)") == true)
  }

  @Test func aRetryPeriodWithoutTimeForAHangingCallIsRefused() {
    let error = #expect(throws: ElectionError.self) {
      try ElectionTimings(leaseDuration: .seconds(15), renewDeadline: .seconds(10), retryPeriod: .seconds(7))
    }
    #expect(error?.message.contains("1.2 × 7.0 seconds + 2.5 seconds") == true)
  }

  @Test func aFasterClockNeedsALargerMargin() throws {
    let same: (Double) throws -> ElectionTimings = {
      try ElectionTimings(leaseDuration: .seconds(15), renewDeadline: .seconds(10), retryPeriod: .seconds(2), clockRateError: $0)
    }
    _ = try same(0.13)
    #expect(throws: ElectionError.self) { try same(0.14) }
  }

  @Test(
    "Durations that are no durations are refused",
    arguments: [
      (Duration.zero, Duration.seconds(10), Duration.seconds(2)), (.seconds(-15), .seconds(10), .seconds(2)),
      (.seconds(15), .zero, .seconds(2)), (.seconds(15), .seconds(10), .seconds(-1)), (.seconds(86_401), .seconds(10), .seconds(2)),
      (.milliseconds(200), .milliseconds(133), .milliseconds(27)),
    ])
  func nonsense(_ lease: Duration, _ deadline: Duration, _ retry: Duration) {
    #expect(throws: ElectionError.self) { try ElectionTimings(leaseDuration: lease, renewDeadline: deadline, retryPeriod: retry) }
  }
}
