import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxServer

@Suite struct QueryParametersTests {
  private func message(_ query: String) -> String? {
    do {
      _ = try ExecutionQuery(QueryParameters(query, known: ExecutionQuery.parameters))
      return nil
    } catch {
      #expect(error.code == .validation)
      return error.message
    }
  }

  @Test func readsAWholeQuery() throws {
    let cursor = "exec_01KCZ5XQ2R0123456789ABCDEF".lowercased()
    let query = try ExecutionQuery(
      QueryParameters(
        "pattern=a%2Fb&status=timed_out&since=2026-01-15T10:30:00Z&until=2026-01-15T11:30:00+01:00&limit=100&offset=3&cursor=\(cursor)",
        known: ExecutionQuery.parameters))
    #expect(query.pattern == "a/b")
    #expect(query.status == .timedOut)
    #expect(query.since == Timestamp("2026-01-15T10:30:00Z"))
    #expect(query.until == query.since)
    #expect(query.limit == 100)
    #expect(query.cursor == cursor)
    #expect(query.offset == 3)
  }

  @Test func hasDefaults() throws {
    for text in [nil, "", "&"] {
      #expect(try ExecutionQuery(QueryParameters(text, known: ExecutionQuery.parameters)) == ExecutionQuery())
    }
  }

  @Test(arguments: [
    ("limit=0", "limit: expected a whole number from 1 to 100, found \"0\""), ("limit=ten", "limit"), ("limit=101", "limit"),
    ("limit=", "limit"),
    ("offset=-1", "offset"), ("offset=99999999999999999999", "offset"),
    ("status=done", "expected one of pending, running, aggregating, completed, failed, cancelled, timed_out, found \"done\""),
    ("since=yesterday", "ISO 8601"), ("pattern=", "expected a value"), ("limit=1&limit=2", "more than once"),
    ("patern=x", "patern: unknown parameter; the known ones are pattern, status, since, until, limit, cursor, offset"),
    ("cursor=xyz", "cursor: expected the nextCursor of another page, found \"xyz\""), ("pattern=%zz", "percent-encoded"),
    ("pattern=%ff", "percent-encoded"), ("pattern=%4", "percent-encoded"),
  ])
  func saysWhatIsWrong(query: String, part: String) throws {
    #expect(try #require(message(query)).contains(part))
  }

  @Test func readsFlagsAndLists() throws {
    let query = try QueryParameters("async=true&sync=0&capabilities=a,%20b%20,,c+d", known: ["async", "sync", "capabilities"])
    #expect(try query.flag("async") == true)
    #expect(try query.flag("sync") == false)
    #expect(try query.flag("other") == nil)
    #expect(query.list("capabilities") == ["a", "b", "c d"])
    #expect(throws: APIError.self) { try QueryParameters("async=yes", known: ["async"]).flag("async") }
  }
}
