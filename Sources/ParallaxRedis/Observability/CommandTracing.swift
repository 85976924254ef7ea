import Tracing

/// Creates a span for each command or pipeline.
///
/// The attributes are those of OpenTelemetry's "Semantic Conventions for Redis". Arguments are never among them.
final class CommandTracing: Sendable {
  private let tracer: any Tracer
  private let database: Int
  private let server: RedisConfiguration.Endpoint?

  /// - Parameters:
  ///   - tracer: Creates the spans.
  ///   - configuration: Provides the server, if there is a single one, and the database.
  init(_ tracer: any Tracer, _ configuration: RedisConfiguration) {
    self.tracer = tracer
    database = configuration.database
    server = if case .standalone(let endpoint) = configuration.deployment { endpoint } else { nil }
  }

  /// Runs a command in a span.
  nonisolated(nonsending) func trace(
    _ command: RedisCommand, _ body: nonisolated(nonsending) () async throws -> RESPValue
  ) async throws -> RESPValue {
    let span = begin(command.name)
    defer { span.end() }
    do {
      return try await body()
    } catch {
      fail(span, error)
      throw error
    }
  }

  /// Runs a pipeline in a span, which fails with the pipeline's first error.
  nonisolated(nonsending) func trace(
    _ commands: [RedisCommand], _ body: nonisolated(nonsending) () async throws -> [Result<RESPValue, RedisError>]
  ) async throws -> [Result<RESPValue, RedisError>] {
    let name = commands.first?.name ?? ""
    let span = begin(commands.allSatisfy { $0.name == name } ? "PIPELINE \(name)" : "PIPELINE")
    span.attributes["db.operation.batch.size"] = commands.count
    defer { span.end() }
    do {
      let results = try await body()
      if let error = results.lazy.compactMap({ if case .failure(let error) = $0 { error } else { nil } }).first { fail(span, error) }
      return results
    } catch {
      fail(span, error)
      throw error
    }
  }

  private func begin(_ operation: String) -> any Span {
    let span = tracer.startSpan(operation, ofKind: .client)
    span.attributes["db.system.name"] = "redis"
    span.attributes["db.operation.name"] = operation
    span.attributes["db.namespace"] = String(database)
    switch server {
    case .host(let host, let port)?:
      span.attributes["server.address"] = host
      span.attributes["server.port"] = port
    case .unixSocket(let path)?: span.attributes["server.address"] = path
    case nil: break
    }
    return span
  }

  private func fail(_ span: any Span, _ error: any Error) {
    let redisError = error as? RedisError
    span.attributes["error.type"] = redisError?.code.description ?? "cancelled"
    if let code = redisError?.serverCode { span.attributes["db.response.status_code"] = code }
    span.recordError(error)
    span.setStatus(SpanStatus(code: .error, message: redisError?.message))
  }
}
