import ParallaxAPI
import Testing

@Suite struct APIErrorTests {
  private func fault<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> APIError {
    let error = #expect(throws: (any Error).self) { try JSON.decode(type, from: text) }
    return APIError(decoding: try #require(error), of: "body")
  }

  @Test(arguments: [
    (#"{"name":"p"}"#, "agents", "is missing"),
    (#"{"agents":{}}"#, "name", "is missing"),
    (#"{"name":"p","agents":{}}"#, "agents.capabilities", "is missing"),
    (#"{"name":7,"agents":{"capabilities":["x"]}}"#, "name", "expected a string, found 7"),
    (#"{"name":"p","agents":{"capabilities":"x"}}"#, "agents.capabilities", "expected an array, found \"x\""),
    (#"{"name":"p","agents":{"capabilities":["x",1]}}"#, "agents.capabilities[1]", "expected a string, found 1"),
    (#"{"name":"p","agents":{"capabilities":["x"],"min":"3"}}"#, "agents.min", "expected a whole number, found \"3\""),
    (#"{"name":"p","agents":[]}"#, "agents", "expected an object, found an array"),
    (
      #"{"name":"p","agents":{"capabilities":["x"]},"aggregation":{"strategy":"consensus","threshold":"high"}}"#, "aggregation.threshold",
      "expected a number, found \"high\""
    ),
  ])
  func aFaultNamesItsPathAndWhatWasExpected(_ text: String, _ field: String, _ expectation: String) throws {
    let fault = try fault(PatternDefinition.self, text)
    #expect(fault == APIError(.validation, "body: \(field): \(expectation)", details: ["field": .string(field)]))
  }

  @Test func anUnknownValueIsRepeatedInTheError() throws {
    let fault = try fault(ExecuteRequest.self, #"{"options":{"priority":"urgent"}}"#)
    #expect(fault.message == "body: options.priority: expected one of low, normal, high, found \"urgent\"")
  }

  @Test(arguments: ["", "{", "{]", "nul", "\u{feff}x"])
  func invalidJSONIsReported(_ text: String) throws {
    let fault = try fault(ExecuteRequest.self, text)
    #expect(fault.code == .validation)
    #expect(fault.message.hasPrefix("body is not valid JSON: line 1, column "))
    #expect(fault.details?["line"] == 1)
  }

  @Test func aDocumentOfAnotherShapeIsReported() throws {
    #expect(try fault(ExecuteRequest.self, "[]").message == "body: expected an object, found an array")
    #expect(try fault([Bool].self, "[1]").message == "body: [0]: expected true or false, found 1")
  }

  @Test func anyOtherErrorIsInTheMessage() {
    struct Unreadable: Error {}
    #expect(APIError(decoding: Unreadable(), of: "body").message == "body could not be read: Unreadable()")
  }

  @Test func theBodyOfAnErrorResponseHasItsShape() throws {
    let error = APIError(.conflict, "no", details: ["executionId": "exec_1"])
    #expect(
      try JSON.text(ErrorDocument(error, requestId: "r1"))
        == #"{"error":{"code":"CONFLICT","details":{"executionId":"exec_1"},"message":"no"},"requestId":"r1"}"#)
    #expect(
      try JSON.text(ErrorDocument(APIError(.internal, "no"), requestId: nil)) == #"{"error":{"code":"INTERNAL_ERROR","message":"no"}}"#)
  }

  @Test func eachCodeHasItsStatus() {
    let statuses = Dictionary(uniqueKeysWithValues: APIError.Code.allCases.map { ($0.rawValue, $0.status) })
    #expect(
      statuses == [
        "VALIDATION_ERROR": 400, "UNAUTHORIZED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405, "TIMEOUT": 408,
        "CONFLICT": 409, "PAYLOAD_TOO_LARGE": 413, "UPGRADE_REQUIRED": 426, "RATE_LIMITED": 429, "INTERNAL_ERROR": 500, "NO_AGENTS": 503,
        "NOT_READY": 503,
      ])
  }
}
