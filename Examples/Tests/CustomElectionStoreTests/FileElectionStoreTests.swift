import CustomElectionStore
import Foundation
import Logging
import ParallaxHA
import ParallaxTesting
import Testing
import XCTest

/// A temporary file, removed at the end.
private func withTemporaryFile(_ body: (String) async throws -> Void) async throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "election-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  try await body(folder.appending(path: "leader.json").path)
}

@Suite struct FileElectionStoreTests {
  @Test("A file keeps the rules of a store", arguments: ElectionStoreConformance.checks)
  func conforms(to check: ElectionStoreConformance.Check) async throws {
    try await withTemporaryFile { path in try await check.run { FileElectionStore(path: path) } }
  }

  @Test func whatIsNoRecordIsLeftAlone() async throws {
    try await withTemporaryFile { path in
      try await ElectionStoreConformance.checkUnreadable(in: FileElectionStore(path: path)) {
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: path))
      }
    }
  }

  @Test func nodesThatShareAFileElectOneAndFollowItWhenItResigns() async throws {
    try await withTemporaryFile { path in
      // The file is new, so no node can have led by it.
      let configuration = ElectionConfiguration(timings: try ElectionTimings(leaseDuration: .seconds(3)), bootstrapWait: .zero)
      let elections = (0..<3).map {
        LeaderElection(store: FileElectionStore(path: path), nodeID: "node-\($0)", configuration: configuration)
      }
      let (terms, continuation) = AsyncStream.makeStream(of: (Int, FencingToken).self)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, election) in elections.enumerated() {
          group.addTask {
            do {
              try await election.campaign { token in
                continuation.yield((index, token))
                try await Task.sleep(for: .seconds(3_600))
              }
            } catch is CancellationError {}
          }
        }
        var terms = terms.makeAsyncIterator()
        let first = try #require(await terms.next())
        await elections[first.0].resign()
        let second = try #require(await terms.next())
        #expect(second.0 != first.0)
        #expect(second.1.term > first.1.term)
        group.cancelAll()
        try await group.waitForAll()
      }
    }
  }
}

/// The same suite with XCTest.
final class FileElectionStoreXCTests: XCTestCase {
  func testConforms() async throws {
    try await ElectionStoreConformance.run {
      FileElectionStore(path: FileManager.default.temporaryDirectory.appending(path: "election-\(UUID().uuidString)").path)
    }
  }
}
