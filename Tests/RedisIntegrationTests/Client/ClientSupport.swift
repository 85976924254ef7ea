import Logging
import NIOCore
import ParallaxRedis
import Synchronization
import TestSupport

/// Collects log entries.
final class LogCollector: Sendable {
  private let lines = Mutex<[String]>([])

  var errors: [String] { lines.withLock { $0 } }

  var logger: Logger {
    Logger(label: "test") { _ in Handler(collector: self) }
  }

  private struct Handler: LogHandler {
    let collector: LogCollector
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      guard event.level >= .error else { return }
      collector.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
  }
}

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension RedisServer {
  /// A configuration for tests: short pauses between attempts, and long time-outs for a busy machine.
  func configuration(_ change: (inout RedisConfiguration) throws -> Void = { _ in }) throws -> RedisConfiguration {
    var configuration = try RedisConfiguration(url: url)
    configuration.connectTimeout = .seconds(10)
    configuration.commandTimeout = .seconds(10)
    configuration.backoff = .init(base: .milliseconds(10), maximum: .milliseconds(50))
    try change(&configuration)
    return configuration
  }
}

/// Runs a client during the body.
func withClient<Value: Sendable>(
  _ configuration: RedisConfiguration, scripts: [RedisScript] = [], logger: Logger = quietLogger,
  _ body: @Sendable (RedisClient) async throws -> Value
) async throws -> Value {
  let client = try RedisClient(configuration: configuration, scripts: scripts, logger: logger)
  return try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await client.run() }
    do {
      let value = try await body(client)
      group.cancelAll()
      return value
    } catch {
      group.cancelAll()
      throw error
    }
  }
}

/// Runs a client of a separate server; the body begins once the client is connected or has failed to connect.
///
/// So no command time-out, however short, is spent on connecting. A short time-out is still only for commands that must not be answered.
func withServerAndClient<Value: Sendable>(
  _ options: RedisServer.Options = .init(), scripts: [RedisScript] = [], _ change: (inout RedisConfiguration) -> Void = { _ in },
  _ body: @Sendable (RedisServer, RedisClient) async throws -> Value
) async throws -> Value {
  try await RedisServer.with(options) { server in
    try await withClient(server.configuration(change), scripts: scripts) { client in
      try await eventually("the client is connected, or knows why not", within: .seconds(60)) {
        client.status.isConnected || client.status.lastError != nil
      }
      return try await body(server, client)
    }
  }
}

/// Kills the server of a connected client, and runs another client with a short command time-out in its absence.
func withImpatientClient<Value: Sendable>(
  after client: RedisClient, of server: RedisServer, scripts: [RedisScript] = [], _ body: @Sendable (RedisClient) async throws -> Value
) async throws -> Value {
  server.kill()
  try await eventually("the loss of the connection") { !client.status.isConnected }
  return try await withClient(server.configuration { $0.commandTimeout = .milliseconds(300) }, scripts: scripts, body)
}

/// The `RedisError` that a body throws, or nil.
func redisError(_ body: () async throws -> some Any) async throws -> RedisError? {
  do {
    _ = try await body()
    return nil
  } catch let error as RedisError {
    return error
  }
}
