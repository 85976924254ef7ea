public import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The rules of every `ElectionStore`, as checks for any test framework: a check throws if the store violates its rule.
///
/// ```swift
/// @Test(arguments: ElectionStoreConformance.checks)                     // Swift Testing
/// func conforms(to check: ElectionStoreConformance.Check) async throws {
///   try await check.run { MyStore() }
/// }
///
/// func testConforms() async throws {                                    // XCTest
///   try await ElectionStoreConformance.run { MyStore() }
/// }
/// ```
///
/// A store whose bytes others can overwrite must also refuse to overwrite a record that it cannot decode: ``checkUnreadable(in:after:)``.
public enum ElectionStoreConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any ElectionStore>

  /// All checks; each needs a store without a record.
  public static let checks = [
    Check("a new store has no record") { store in
      try expect(await store.read(), is: nil, "the record of a new store")
    },
    Check("a record reads as it was written, with the version of the write") { store in
      var version: ElectionVersion?
      for record in ElectionSample.records {
        version = try await write(record, to: store, expecting: version)
        let snapshot = try require(await store.read(), "the record")
        try expect(snapshot.record, is: record, "the record")
        try expect(snapshot.version, is: version ?? ElectionVersion([]), "its version")
      }
    },
    Check("a write that expects no record conflicts with a stored record and changes nothing") { store in
      let version = try await write(ElectionSample.held, to: store, expecting: nil)
      let answer = try await store.compareAndSet(ElectionSample.renewed, expecting: nil)
      try expect(
        answer, is: .conflict(ElectionSnapshot(record: ElectionSample.held, version: version)), "the answer to the second write")
      try expect(await store.read()?.record, is: ElectionSample.held, "the record")
    },
    Check("a write that expects a version conflicts without a record") { store in
      let answer = try await store.compareAndSet(ElectionSample.held, expecting: ElectionVersion([1, 2, 3]))
      try expect(answer, is: .conflict(nil), "the answer to a write over nothing")
      try expect(await store.read(), is: nil, "the record")
    },
    Check("a write that expects an outdated version conflicts with the newer record and changes nothing") { store in
      let first = try await write(ElectionSample.held, to: store, expecting: nil)
      let second = try await write(ElectionSample.renewed, to: store, expecting: first)
      let answer = try await store.compareAndSet(ElectionSample.released, expecting: first)
      try expect(
        answer, is: .conflict(ElectionSnapshot(record: ElectionSample.renewed, version: second)), "the answer to the outdated write")
      try expect(await store.read()?.version, is: second, "the version")
    },
    Check("versions of different records differ") { store in
      var versions: Set<ElectionVersion> = []
      var version: ElectionVersion?
      for record in ElectionSample.records {
        let next = try await write(record, to: store, expecting: version)
        try expect(versions.insert(next).inserted, "a version that was not there before")
        version = next
      }
    },
    Check("of many concurrent writes over one version, one succeeds") { store in
      let version = try await write(ElectionSample.held, to: store, expecting: nil)
      let winners = try await winners(of: 16, in: store, expecting: version)
      try expect(winners.count, is: 1, "how many wrote")
      try expect(await store.read()?.record.incarnation, is: winners.first, "whose record stands")
    },
    Check("of many concurrent writes over no record, one succeeds") { store in
      let winners = try await winners(of: 16, in: store, expecting: nil)
      try expect(winners.count, is: 1, "how many wrote")
      try expect(await store.read()?.record.incarnation, is: winners.first, "whose record stands")
    },
    Check("no acknowledged write of many is lost") { store in
      try await checkCounting(in: store)
    },
    Check("a read never shows an earlier record than a read before it") { store in
      try await checkOrder(in: store)
    },
    Check("hints, if there are any, have records that were written") { store in
      try await checkHints(of: store)
    },
    Check("a recorded death releases the record of that incarnation, with its term, transitions and pause") { store in
      let version = try await write(ElectionSample.renewed, to: store, expecting: nil)
      try expect(
        await released(by: ElectionSample.session, in: store), is: [ElectionSample.renewed.fencingToken], "the released terms")
      let after = try require(await store.read(), "the record")
      try expect(after.version != version, "a new version")
      var expected = ElectionSample.renewed
      expected.leader = nil
      expected.address = nil
      expected.sequence += 1
      expected.isWitnessed = true
      try expect(after.record, is: expected, "the record")
      try expect(await released(by: ElectionSample.session, in: store), is: [], "the terms released by a repeat")
      try expect(await store.read(), is: after, "the record after a repeat")
    },
    Check("a recorded death changes no record of another incarnation, and creates none") { store in
      try expect(await released(by: ElectionSample.session, in: store), is: [], "the terms released over no record")
      try expect(await store.read(), is: nil, "the record after that")
      let version = try await write(ElectionSample.held, to: store, expecting: nil)
      let others = [
        NodeSession(nodeID: "node-a", incarnation: "00000000000000a2"), NodeSession(nodeID: "node-b", incarnation: "00000000000000a1"),
      ]
      for other in others {
        try expect(await released(by: other, in: store), is: [], "the terms released for \(other)")
        try expect(
          await store.read(), is: ElectionSnapshot(record: ElectionSample.held, version: version), "the record after that of \(other)")
      }
    },
  ]

  /// Runs all checks, each on a store of its own.
  ///
  /// - Parameter makeStore: Creates a store without a record.
  /// - Throws: An error that names the violated rule and the violation, or the error of the store.
  public static func run(_ makeStore: () async throws -> any ElectionStore) async throws {
    for check in checks {
      do {
        try await check.run(makeStore)
      } catch let failure as ConformanceFailure {
        throw ConformanceFailure(description: "\(check.rule): \(failure)")
      }
    }
  }

  /// Checks that a record that cannot be decoded neither counts as missing nor is overwritten.
  ///
  /// - Parameters:
  ///   - store: A store without a record.
  ///   - spoil: Replaces the stored record by invalid bytes.
  /// - Throws: An error that describes the violation, or the error of `spoil`.
  public static func checkUnreadable(in store: any ElectionStore, after spoil: () async throws -> Void) async throws {
    try await spoil()
    try await expectUnreadable("a read") { _ = try await store.read() }
    for expected in [nil, ElectionVersion([1, 2, 3])] {
      try await expectUnreadable("a write") { _ = try await store.compareAndSet(ElectionSample.held, expecting: expected) }
    }
    try await expectUnreadable("a read after writes") { _ = try await store.read() }
  }

  private static func expectUnreadable(_ what: String, _ call: () async throws -> Void) async throws {
    do {
      try await call()
    } catch let error as ElectionError where error.code == .unreadableRecord {
      return
    }
    throw ConformanceFailure(description: "\(what) of what cannot be decoded did not throw ElectionError with unreadableRecord")
  }

  private static func write(
    _ record: ElectionRecord, to store: any ElectionStore, expecting: ElectionVersion?
  ) async throws -> ElectionVersion {
    switch try await store.compareAndSet(record, expecting: expecting) {
    case .written(let version): return version
    case .conflict(let found):
      throw ConformanceFailure(description: "a write over the present version was refused for \(String(describing: found))")
    }
  }

  /// Records a death up to its first wait; returns the released terms.
  private static func released(by session: NodeSession, in store: some ElectionStore) async throws -> [FencingToken] {
    var notice = DeathNotice(of: session, timings: .standard)
    while let step = notice.next(at: .zero) {
      if case .wait = step { break }
      notice.heard(try await store.answer(to: step), at: .zero)
    }
    return notice.released
  }

  private static func winners(of count: Int, in store: any ElectionStore, expecting: ElectionVersion?) async throws -> [String] {
    try await withThrowingTaskGroup(of: String?.self) { group in
      for index in 0..<count {
        group.addTask {
          var record = ElectionSample.held
          record.incarnation = "incarnation-\(index)"
          record.sequence = 100 + Int64(index)
          if case .written = try await store.compareAndSet(record, expecting: expecting) { return record.incarnation }
          return nil
        }
      }
      return try await group.reduce(into: []) { winners, winner in if let winner { winners.append(winner) } }
    }
  }

  /// Many tasks increment a number, each over the version that it has read.
  private static func checkCounting(in store: some ElectionStore) async throws {
    var first = ElectionSample.held
    first.sequence = 0
    _ = try await write(first, to: store, expecting: nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var left = 10
          while left > 0 {
            let found = try require(await store.read(), "the record")
            var next = found.record
            next.sequence += 1
            if case .written = try await store.compareAndSet(next, expecting: found.version) { left -= 1 }
          }
        }
      }
      try await group.waitForAll()
    }
    try expect(await store.read()?.record.sequence, is: 80, "the sum of all writes")
  }

  /// Several tasks read while one writes.
  private static func checkOrder(in store: some ElectionStore) async throws {
    let last: Int64 = 60
    var record = ElectionSample.held
    record.sequence = 0
    var version = try await write(record, to: store, expecting: nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var highest: Int64 = 0
          while highest < last {
            let sequence = try require(await store.read(), "the record").record.sequence
            try expect(sequence >= highest, "no record before \(highest), as \(sequence) is, after that was read")
            highest = sequence
          }
        }
      }
      while record.sequence < last {
        record.sequence += 1
        version = try await write(record, to: store, expecting: version)
      }
      try await group.waitForAll()
    }
  }

  /// All hints may be lost, so silence is no violation; a hint must have a written record.
  private static func checkHints(of store: some ElectionStore) async throws {
    let changes = store.changes()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for try await hint in changes {
          try expect(ElectionSample.records.contains(hint.record), "a hint of a record that was written, not \(hint.record)")
          if hint.record == ElectionSample.records.last { return }
        }
      }
      group.addTask {
        var version: ElectionVersion?
        for record in ElectionSample.records { version = try await write(record, to: store, expecting: version) }
        // Reads give the store time to deliver pending hints.
        for _ in 0..<100 { _ = try await store.read() }
      }
      try await group.next()
      group.cancelAll()
      do { try await group.next() } catch is CancellationError {}
    }
  }
}

/// Records with every field in every form; instants are whole milliseconds, the precision that stores must keep.
enum ElectionSample {
  static let session = NodeSession(nodeID: "node-a", incarnation: "00000000000000a1")

  static let held: ElectionRecord = {
    var record = ElectionRecord(
      clusterID: "conformance", leader: "node-a", address: "10.0.0.1:8080", incarnation: "00000000000000a1", term: 1_700_000_000_001,
      renewalCount: 7, sequence: 9, transitionCount: 3, leaseDuration: .milliseconds(15_500))
    record.acquiredAt = Date(timeIntervalSince1970: 1_768_473_000.25)
    record.renewedAt = Date(timeIntervalSince1970: 1_768_473_004.5)
    return record
  }()

  static let renewed: ElectionRecord = {
    var record = held
    record.renewalCount = 8
    record.sequence = 10
    record.isPaused = true
    return record
  }()

  static let requested: ElectionRecord = {
    var record = renewed
    record.sequence = 11
    record.request = ElectionRequest(id: "request-1", kind: .stepDown, to: "node-ü\"", targetTerm: record.term)
    return record
  }()

  static let released: ElectionRecord = {
    var record = requested
    record.sequence = 12
    record.leader = nil
    record.address = nil
    record.request = nil
    record.reservation = ElectionHold(id: "request-1", node: "node-ü\"", duration: .seconds(10))
    record.cooldown = ElectionHold(id: "request-2", node: "node-a", duration: .milliseconds(1))
    return record
  }()

  static let bootstrap = ElectionRecord(
    clusterID: "conformance", leader: nil, incarnation: "00000000000000b1", term: 1_700_000_000_002, sequence: 13,
    leaseDuration: .seconds(15),
    isBootstrap: true)

  static let records = [held, renewed, requested, released, bootstrap]
}
