import Foundation
import Logging
import ParallaxHA
import ParallaxMetrics
import ParallaxTesting
import ParallaxWitness
import TestSupport
import Testing

@testable import ParallaxControlPlane

@Suite(.serialized, .timeLimit(.minutes(1))) struct WitnessKeeperTests {
  private static let orders = WitnessOrders(
    process: 4_711, session: NodeSession(nodeID: "node-a", incarnation: "a1"), timings: .standard, keyPrefix: "parallax:",
    requiredReplicas: 0, redis: RedisAccess(servers: ["127.0.0.1:6379"]), logsJSON: false)

  private let clock = ManualClock()
  private let lines = Recorder<String>()

  /// Runs a keeper during the body.
  private func withKeeper(descriptor: Int32? = nil, executable: String? = nil, _ body: () async throws -> Void) async throws {
    let keeper = try WitnessKeeper(
      orders: Self.orders, descriptor: descriptor, executable: executable, hasLeft: { false }, registry: MetricsRegistry(),
      clock: NodeClock(clock), logger: Logger(label: "test") { [lines] _ in LineHandler(lines: lines) })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keeper.run() }
      defer { group.cancelAll() }
      try await body()
    }
  }

  private func lines(with text: String) -> [String] { lines.all.filter { $0.contains(text) } }

  private func advance(by seconds: Int) async throws {
    try await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(seconds))
  }

  @Test func `A witness that cannot be started is tried again after at most a minute, and noted once`() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "parallax-keeper-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (program, orders) = (folder.appending(path: "witness").path, folder.appending(path: "orders").path)
    try await withKeeper(executable: program) {
      // The next pause would be of 64 s.
      for seconds in [1, 2, 4, 8, 16, 32] { try await advance(by: seconds) }
      try await clock.sleepers(atLeast: 1)
      #expect(lines(with: "has no witness").count == 1)
      #expect(lines(with: "has no witness")[0].contains("\(program) cannot be started: No such file or directory"))

      // It ends after its orders.
      try Data("#!/bin/sh\nhead -n 1 >'\(orders).new'; mv '\(orders).new' '\(orders)'\n".utf8).write(to: URL(filePath: program))
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
      clock.advance(by: .seconds(60))
      try await eventually("the orders") { FileManager.default.contents(atPath: orders).map(Array.init) == (try Self.orders.line()) }
      #expect(lines(with: "has a witness now").count == 1)
      #expect(lines(with: "has no witness").count == 1)
    }
  }

  @Test func `Without an executable there is no witness, which is noted once`() async throws {
    try await withKeeper {
      try await eventually("the note") { lines(with: "parallax-witness is not beside the executable").count == 1 }
    }
    #expect(lines.count == 1)
  }

  @Test func `A witness around the node gets the orders, and its end is noted`() async throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    try await withKeeper(descriptor: ends[1], executable: "/nowhere") {
      try await clock.sleepers(atLeast: 1)
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = read(ends[0], &buffer, buffer.count)
      #expect(Array(buffer.prefix(max(count, 0))) == (try Self.orders.line()))
      close(ends[0])
      // A child of another test may have the reading end for a moment.
      try await eventually("the note") {
        clock.advance(by: .seconds(1))
        return lines(with: "the witness around this node has ended").count == 1
      }
    }
    #expect(lines.count == 1)
  }
}

/// Records each message with its reason.
private struct LineHandler: LogHandler {
  let lines: Recorder<String>
  var metadata = Logger.Metadata()
  var logLevel = Logger.Level.info

  func log(event: LogEvent) {
    lines.add("\(event.message) \(event.metadata?["reason"].map { "\($0)" } ?? "")")
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
}
