import BenchmarkSupport
import Foundation

/// A redis-server on a free port with an append-only file that is synced every second.
struct RedisProcess: Sendable {
  let server: ServerProcess
  let port: Int

  static func start() async throws -> RedisProcess {
    let port = try freePort()
    let server = try ServerProcess(
      try Program.named("redis-server"),
      ["--port", "\(port)", "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", "."])
    do {
      try await server.wait(for: "readiness") { server.log.contains("Ready to accept connections") ? () : nil }
    } catch {
      server.stop()
      throw error
    }
    return RedisProcess(server: server, port: port)
  }

  /// The number of commands that the server has executed, including those of scripts.
  func commands() throws -> RedisCommands {
    let text = try Program.output(of: Program.named("redis-cli"), ["-p", "\(port)", "info", "commandstats"])
    var commands = RedisCommands()
    for line in text.split(whereSeparator: \.isNewline) {
      guard let match = line.firstMatch(of: /^cmdstat_([^:]+):calls=([0-9]+)/), let calls = Int(match.2) else { continue }
      commands.calls[String(match.1), default: 0] += calls
    }
    return commands
  }
}

/// Calls by command name.
struct RedisCommands: Sendable {
  var calls: [String: Int] = [:]

  static func - (later: RedisCommands, earlier: RedisCommands) -> RedisCommands {
    RedisCommands(calls: later.calls.merging(earlier.calls) { $0 - $1 }.filter { $0.value > 0 })
  }
}

/// A release node on a free port.
struct NodeProcess: Sendable {
  let server: ServerProcess
  let port: Int

  static func start(daemon: String, redisPort: Int?) async throws -> NodeProcess {
    var environment = ["PARALLAX_PORT": "0", "PARALLAX_NODE_ID": "bench"]
    if let redisPort { environment["PARALLAX_REDIS_URL"] = "redis://127.0.0.1:\(redisPort)" }
    // One agent here stands for many, so the limit of an ordinary agent's messages must not apply.
    let configuration = "agents:\n  maxMessagesPerSecond: 1000000\n"
    let server = try ServerProcess(
      URL(filePath: daemon), [], environment: environment, files: ["parallax.config.yaml": configuration])
    do {
      let port = try await server.wait(for: "address that it listens on") {
        server.log.firstMatch(of: /http:\/\/127\.0\.0\.1:([0-9]+)/).flatMap { Int($0.1) }
      }
      try await server.wait(for: "readiness") { server.log.contains(#""message":"ready""#) ? () : nil }
      return NodeProcess(server: server, port: port)
    } catch {
      server.stop()
      throw error
    }
  }
}
