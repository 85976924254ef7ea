import InMemoryTracing
import ParallaxRedis
import TestSupport
import Testing
import Tracing

@Suite struct TracingTests {
  private static func attribute(_ name: String, of span: FinishedInMemorySpan) -> String? {
    switch span.attributes.get(name) {
    case .string(let text)?: text
    case .int64(let number)?: String(number)
    case .int32(let number)?: String(number)
    default: nil
    }
  }

  @Test func aCommandIsASpanWithTheConventionalAttributesWithoutArguments() async throws {
    let tracer = InMemoryTracer()
    try await withServerAndClient { configuration in
      configuration.tracer = tracer
    } _: { server, client in
      _ = try await client.send(RedisCommand("SET", "secret-key", "secret-value"))
      let span = try #require(tracer.finishedSpans.first)
      #expect(span.operationName == "SET")
      #expect(span.kind == .client)
      #expect(span.status == nil)
      let expected = [
        "db.system.name": "redis", "db.operation.name": "SET", "db.namespace": "0", "server.address": "127.0.0.1",
        "server.port": "\(server.port)",
      ]
      for (name, value) in expected { #expect(Self.attribute(name, of: span) == value, "\(name)") }
      #expect(!"\(span)".contains("secret"))
    }
  }

  @Test func aPipelineIsOneSpanAndAnErrorHasTheCodeOfTheServer() async throws {
    let tracer = InMemoryTracer()
    try await withServerAndClient { configuration in
      configuration.tracer = tracer
    } _: { _, client in
      _ = try await client.pipeline([RedisCommand("SET", "k", "text"), RedisCommand("INCR", "k"), RedisCommand("LPUSH", "k", 1)])
      let span = try #require(tracer.finishedSpans.first)
      #expect(tracer.finishedSpans.count == 1)
      #expect(span.operationName == "PIPELINE")
      #expect(Self.attribute("db.operation.batch.size", of: span) == "3")
      #expect(span.status?.code == .error)
      #expect(Self.attribute("error.type", of: span) == "serverError")
      #expect(Self.attribute("db.response.status_code", of: span) == "ERR")
    }
  }
}
