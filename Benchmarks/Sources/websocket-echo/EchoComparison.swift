import BenchmarkSupport
import Foundation
import NIOCore
import NIOPosix

/// Measures both echoes in turn, each in a process of its own.
struct EchoComparison {
  let rounds: Int
  let duration: Duration

  /// The messages on their way in each connection.
  private static let depth = 8
  private static let connections = 16
  private static let sizes = [64, 16 << 10]

  private struct Measurement {
    var perSecond: Double
    /// Microseconds of the server's processor time.
    var cost: Double
  }

  func run() async throws {
    var results: [Int: (handler: [Measurement], asyncChannel: [Measurement])] = [:]
    for _ in 0..<rounds {
      for size in Self.sizes {
        let handler = try await measure(size: size, [])
        let asyncChannel = try await measure(size: size, ["--async-channel"])
        results[size, default: ([], [])].handler.append(handler)
        results[size, default: ([], [])].asyncChannel.append(asyncChannel)
      }
    }
    let load = "\(Self.connections) connections with \(Self.depth) messages each on their way"
    print("", "Medians of \(rounds) rounds, \(load):", "", separator: "\n")
    print("| size | handler: messages/s | server, µs each | NIOAsyncChannel: messages/s | server, µs each | ratio | of the time |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in Self.sizes {
      guard let (handler, asyncChannel) = results[size] else { continue }
      let (a, b) = (median(handler.map(\.perSecond)), median(asyncChannel.map(\.perSecond)))
      let (c, d) = (median(handler.map(\.cost)), median(asyncChannel.map(\.cost)))
      print(String(format: "| %d | %.0f | %.2f | %.0f | %.2f | %.2f | %.2f |", size, a, c, b, d, a / b, c / d))
    }
  }

  private func measure(size: Int, _ arguments: [String]) async throws -> Measurement {
    let executable = try Program.own()
    let server = try ServerProcess(executable, ["--port", "0"] + arguments)
    defer { server.stop() }
    let port = try await server.wait(for: "address that it listens on") {
      server.log.firstMatch(of: /ws:\/\/127\.0\.0\.1:([0-9]+)\//).flatMap { Int($0.1) }
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let load = EchoLoad(size: size, depth: Self.depth)
    var channels: [any Channel] = []
    for _ in 0..<Self.connections { channels.append(try await load.connect(to: port, group: group)) }
    try await Task.sleep(for: .milliseconds(200))
    let clock = ContinuousClock()
    let (began, before, timeBefore) = (clock.now, load.echoed, try ProcessorTime.of(pid: server.pid))
    try await Task.sleep(for: duration)
    let (count, time) = (load.echoed - before, try ProcessorTime.of(pid: server.pid) - timeBefore)
    let elapsed = clock.now - began
    for channel in channels { try? await channel.close() }
    try await group.shutdownGracefully()
    guard count > 0 else { throw BenchmarkError("the server echoed nothing:\n\(server.log)") }
    return Measurement(perSecond: Double(count) / (elapsed / .seconds(1)), cost: time / .microseconds(1) / Double(count))
  }

  private func median(_ values: [Double]) -> Double {
    values.sorted()[values.count / 2]
  }
}
