public import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The rules of every `MembershipStore`, as checks for any test framework: a check throws if the store violates its rule.
///
/// ```swift
/// @Test(arguments: MembershipStoreConformance.checks)
/// func conforms(to check: MembershipStoreConformance.Check) async throws {
///   try await check.run { MyStore() }
/// }
/// ```
public enum MembershipStoreConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any MembershipStore>

  /// All checks; each needs an empty store.
  public static let checks = [
    Check("a new store has no members") { store in
      try expect(await store.members(), is: MembershipSnapshot(records: []), "the members")
    },
    Check("a record reads as it was written") { store in
      for record in [MemberSample.alice(), MemberSample.full] {
        try expect(await store.write(record, replacing: nil), is: .added, "the first write of \(record.id)")
      }
      try await expectMembers([MemberSample.alice(), MemberSample.full], in: store, "after their first writes")
    },
    Check("a later write of the same incarnation replaces the earlier one") { store in
      try expect(await store.write(MemberSample.alice(1), replacing: nil), is: .added, "the first write")
      var second = MemberSample.alice(2)
      second.report = MemberReport(role: .leader, term: 7, health: .degraded, executions: 3, agents: 4)
      try expect(await store.write(second, replacing: nil), is: .renewed, "the second write")
      try await expectMembers([second], in: store, "after the second write")
    },
    Check("a write that does not name the former session finds a twin and changes nothing") { store in
      _ = try await store.write(MemberSample.alice(), replacing: nil)
      try expect(await store.write(MemberSample.aliceAgain(), replacing: nil), is: .twin(MemberSample.alice()), "the write of a new life")
      try await expectMembers([MemberSample.alice()], in: store, "after the new life's write")
    },
    Check("a write that names the former session replaces it, and the former session finds a twin") { store in
      _ = try await store.write(MemberSample.alice(), replacing: nil)
      let former = MemberSample.alice().incarnation
      try expect(await store.write(MemberSample.aliceAgain(1), replacing: former), is: .replaced, "the write of the new life")
      try expect(await store.write(MemberSample.aliceAgain(2), replacing: former), is: .renewed, "its repeat")
      try expect(
        await store.write(MemberSample.alice(2), replacing: nil), is: .twin(MemberSample.aliceAgain(2)), "a write of the former life")
      try await expectMembers([MemberSample.aliceAgain(2)], in: store, "after the former life's write")
    },
    Check("a write that names another session than the stored one changes nothing") { store in
      _ = try await store.write(MemberSample.aliceAgain(), replacing: nil)
      var third = MemberSample.alice()
      third.incarnation = "00000000000000a3"
      try expect(
        await store.write(third, replacing: MemberSample.alice().incarnation), is: .twin(MemberSample.aliceAgain()), "the write of a third")
      try await expectMembers([MemberSample.aliceAgain()], in: store, "after the third's write")
    },
    Check("of concurrent new sessions one takes the field") { store in
      _ = try await store.write(MemberSample.alice(), replacing: nil)
      let outcomes = try await StateStoreConformance.concurrently(8) { number in
        var record = MemberSample.alice()
        record.incarnation = "\(number)"
        return try await store.write(record, replacing: MemberSample.alice().incarnation)
      }
      try expect(outcomes.count { $0 == .replaced }, is: 1, "the number of lives that took the field")
      try expect(await store.members().records.count, is: 1, "the number of members")
    },
    Check("a repeated removal of a session leaves its field removed") { store in
      _ = try await store.write(MemberSample.alice(), replacing: nil)
      _ = try await store.write(MemberSample.full, replacing: nil)
      for _ in 0..<2 {
        try await store.remove(MemberSample.alice().session)
        try await expectMembers([MemberSample.full], in: store, "after the removal")
      }
      try expect(await store.write(MemberSample.alice(2), replacing: nil), is: .added, "a write after the removal")
    },
    Check("a removal of another session changes nothing") { store in
      _ = try await store.write(MemberSample.aliceAgain(), replacing: nil)
      try await store.remove(MemberSample.alice().session)
      try await expectMembers([MemberSample.aliceAgain()], in: store, "after the removal of the former life")
    },
    Check("a mark of an end changes the end and nothing else, and a repeat keeps the first") { store in
      _ = try await store.write(MemberSample.full, replacing: nil)
      try expect(await store.markEnded(MemberSample.full.session, MemberSample.end), is: true, "whether the field is marked")
      var marked = MemberSample.full
      marked.end = MemberSample.end
      try await expectMembers([marked], in: store, "after the mark")
      let later = MemberEnd(at: MemberSample.instant.addingTimeInterval(5), cause: .status(1))
      try expect(await store.markEnded(MemberSample.full.session, later), is: true, "whether the field is marked at the repeat")
      try await expectMembers([marked], in: store, "after the repeat")
    },
    Check("a mark of another session's end changes nothing, and creates no field") { store in
      try expect(await store.markEnded(MemberSample.alice().session, MemberSample.end), is: false, "whether a missing field is marked")
      try await expectMembers([], in: store, "after the mark of a missing field")
      _ = try await store.write(MemberSample.aliceAgain(), replacing: nil)
      try expect(await store.markEnded(MemberSample.alice().session, MemberSample.end), is: false, "whether the former life is marked")
      try await expectMembers([MemberSample.aliceAgain()], in: store, "after the mark of the former life")
    },
    Check("a heartbeat that arrives after a mark removes it, and a new life replaces a marked field") { store in
      _ = try await store.write(MemberSample.alice(1), replacing: nil)
      _ = try await store.markEnded(MemberSample.alice().session, MemberSample.end)
      try expect(await store.write(MemberSample.alice(2), replacing: nil), is: .renewed, "the late heartbeat")
      try await expectMembers([MemberSample.alice(2)], in: store, "after the late heartbeat")
      _ = try await store.markEnded(MemberSample.alice().session, MemberSample.end)
      try expect(
        await store.write(MemberSample.aliceAgain(), replacing: MemberSample.alice().incarnation), is: .replaced,
        "the write of the new life")
      try await expectMembers([MemberSample.aliceAgain()], in: store, "after the new life's write")
    },
    Check("ids with unusual characters stay apart") { store in
      let ids = ["a", "A", "a:1", "{a}", "a b", "a\nb", "ä", "👍", "a\u{0}b", "\"a\"", String(repeating: "x", count: 500)]
      let records = ids.map { id in
        var record = MemberSample.alice()
        record.id = id
        return record
      }
      for record in records { try expect(await store.write(record, replacing: nil), is: .added, "the first write of \(record.id)") }
      try await expectMembers(records, in: store, "after all writes")
    },
  ]

  private static func expectMembers(_ records: [MemberRecord], in store: any MembershipStore, _ when: String) async throws {
    let snapshot = try await store.members()
    try expect(snapshot.unreadable, is: [:], "the unreadable fields \(when)")
    try expect(snapshot.records.sorted { $0.id < $1.id }, is: records.sorted { $0.id < $1.id }, "the members \(when)")
  }
}

/// The records of the checks.
private enum MemberSample {
  /// 2026-01-15T10:30:00.007Z, which no double represents exactly.
  static let instant = Date(timeIntervalSince1970: 1_768_473_000.007)

  static let end = MemberEnd(at: instant, cause: .signal(9))

  static func alice(_ sequence: Int64 = 1) -> MemberRecord {
    MemberRecord(
      session: NodeSession(nodeID: "node-a", incarnation: "00000000000000a1"), address: "10.0.0.1:8080", sequence: sequence,
      startedAt: instant, lastHeartbeat: instant, version: "1.0.0")
  }

  /// The session of Alice's node after a restart.
  static func aliceAgain(_ sequence: Int64 = 1) -> MemberRecord {
    var record = alice(sequence)
    record.incarnation = "00000000000000a2"
    return record
  }

  /// Every field with a distinct value, numbers at their limits.
  static let full = MemberRecord(
    session: NodeSession(nodeID: "node-b", incarnation: "00000000000000b1"), address: "[fe80::1]:8080", sequence: .max,
    report: MemberReport(role: .leader, term: .max, health: .unhealthy, executions: .max, agents: 10_000),
    checkInterval: .milliseconds(250), startedAt: instant, lastHeartbeat: instant.addingTimeInterval(0.001), version: "2.0.0-ä")
}
