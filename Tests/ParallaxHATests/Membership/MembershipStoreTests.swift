import Foundation
import ParallaxHA
import ParallaxTesting
import Testing

@Suite struct MembershipStoreTests {
  @Test("The in-memory store keeps the rules", arguments: MembershipStoreConformance.checks)
  func conforms(to check: MembershipStoreConformance.Check) async throws {
    try await check.run { InMemoryMembershipStore() }
  }

  @Test func aRecordIsReadableJSON() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    #expect(
      String(decoding: try encoder.encode(memberRecord("a", 3, leads: 7)), as: UTF8.self)
        == #"{"address":"a:8080","agents":0,"checkInterval":5000,"executions":0,"format":1,"health":"healthy","id":"a","#
        + #""incarnation":"a-life-1","lastHeartbeat":"2026-01-15T10:30:00.007Z","role":"leader","sequence":3,"#
        + #""startedAt":"2026-01-15T10:30:00.007Z","term":7,"version":"1.0.0"}"#)
  }

  @Test(
    "The end of a process is readable JSON, which earlier versions ignore",
    arguments: [
      (MemberEnd.Cause.signal(9), #""ended":{"at":"2026-01-15T10:30:00.007Z","signal":9}"#),
      (.status(1), #""ended":{"at":"2026-01-15T10:30:00.007Z","status":1}"#), (nil, #""ended":{"at":"2026-01-15T10:30:00.007Z"}"#),
    ] as [(MemberEnd.Cause?, String)])
  func end(cause: MemberEnd.Cause?, json: String) throws {
    var record = memberRecord("a", 3)
    record.end = MemberEnd(at: someInstant, cause: cause)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let text = String(decoding: try encoder.encode(record), as: UTF8.self)
    #expect(text.contains(json) && text.contains(#""format":1"#))
    #expect(try JSONDecoder().decode(MemberRecord.self, from: Data(text.utf8)) == record)
  }

  @Test func everyMillisecondSurvivesJSON() throws {
    var written = memberRecord("a")
    for millisecond in 0..<1_000 {
      written.lastHeartbeat = Date(timeIntervalSince1970: 1_768_473_000 + Double(millisecond) / 1_000)
      #expect(try JSONDecoder().decode(MemberRecord.self, from: JSONEncoder().encode(written)) == written)
    }
  }

  @Test(arguments: [
    (#""format":1"#, #""format":2"#, "newer"), (#""checkInterval":5000"#, #""checkInterval":0"#, "between"),
    (#""checkInterval":5000"#, #""checkInterval":600001"#, "between"), (#""role":"standby""#, #""role":"king""#, "king"),
    (#""2026-01-15T10:30:00.007Z""#, #""soon""#, "ISO 8601"), (#""sequence":1"#, #""sequence":"x""#, "sequence"),
  ])
  func recordsOutOfBoundsAreRefused(part: String, replacement: String, reason: String) throws {
    let text = String(decoding: try JSONEncoder().encode(memberRecord("a")), as: UTF8.self)
    #expect(text.contains(part))
    let error = #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(MemberRecord.self, from: Data(text.replacingOccurrences(of: part, with: replacement).utf8))
    }
    #expect("\(try #require(error))".contains(reason))
  }

  @Test func settingsOutOfBoundsAreRefusedByName() throws {
    #expect(try MembershipSettings().detectionWindow == .seconds(15))
    for (name, make) in [
      ("checkInterval", { try MembershipSettings(checkInterval: .milliseconds(9)) }),
      ("timeout", { try MembershipSettings(timeout: .zero) }),
      ("unhealthyThreshold", { try MembershipSettings(unhealthyThreshold: 0) }),
    ] as [(String, () throws -> MembershipSettings)] {
      let error = #expect(throws: MembershipError.self) { try make() }
      #expect(error?.code == .invalidSettings)
      #expect(error?.message.contains(name) == true)
    }
  }
}
