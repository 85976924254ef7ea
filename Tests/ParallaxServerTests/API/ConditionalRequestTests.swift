import ParallaxAPI
import Testing

@testable import ParallaxServer

/// Requests with the tag of a content that the client has (RFC 9110, section 13.1.2).
@Suite(.timeLimit(.minutes(1))) struct ConditionalRequestTests {
  private static let tagged = ["/openapi.json", "/api/patterns/p?version=2.0.0", "/api/patterns/p/versions", "/api/executions/ended_1"]

  @Test(arguments: tagged) func aClientThatHasTheContentIsSparedIt(path: String) async throws {
    try await RunningServer.with { server in
      let whole = try await server.send("GET", path)
      let tag = try #require(whole.headers["etag"])
      #expect(whole.status == 200 && tag.hasPrefix("W/\"") && whole.headers["cache-control"] == "private, no-cache")
      for header in [tag, "\"x\", \(tag.dropFirst(2)) ,\"y\"", "*"] {
        let answer = try await server.send("GET", path, headers: [("If-None-Match", header)])
        #expect(answer.status == 304 && answer.text.isEmpty && answer.headers["etag"] == tag, "\(header)")
        #expect(answer.headers["content-type"] == nil)
      }
      let head = try await server.send("HEAD", path, headers: [("If-None-Match", tag)])
      #expect(head.status == 304)
      let other = try await server.send("GET", path, headers: [("If-None-Match", "W/\"x\", \(tag.dropLast())")])
      #expect(other.status == 200 && other.text == whole.text)
    }
  }

  @Test func aTagIsThatOfOneContent() async throws {
    try await RunningServer.with { server in
      var tags: Set<String> = []
      for path in Self.tagged + ["/api/patterns/q?version=2.0.0", "/api/executions/ended_2"] {
        tags.insert(try #require(try await server.send("GET", path).headers["etag"]))
      }
      #expect(tags.count == Self.tagged.count + 2)
    }
  }

  @Test(arguments: ["/api/executions/runs", "/api/executions", "/api/agents"])
  func whatChangesHasNoTag(path: String) async throws {
    try await RunningServer.with { server in
      let answer = try await server.send("GET", path, headers: [("If-None-Match", "*")])
      #expect(answer.status == 200 && answer.headers["etag"] == nil)
    }
  }
}
