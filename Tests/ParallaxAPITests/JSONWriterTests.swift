import ParallaxAPI
import Testing

/// The text of a value that writes itself has the same bytes as that of Foundation's encoder, in stores, between nodes and on the wire.
@Suite struct JSONWriterTests {
  @Test func anyValueIsWrittenAsItIsEncoded() throws {
    var random = RandomValues(seed: 20_261_130)
    for _ in 0..<3_000 {
      let value = random.value(depth: 4)
      #expect(try value.jsonText == JSON.text(value))
    }
  }

  @Test func everyCharacterIsEscapedAsItIsEncoded() throws {
    for scalar in (0...0x2FF).compactMap(Unicode.Scalar.init) + ["\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFF}", "\u{1F600}"] {
      let text = "a\(scalar)\(scalar)z"
      #expect(try text.jsonText == JSON.text(text))
    }
  }

  @Test func everyKindOfNumberIsWrittenAsItIsEncoded() throws {
    var random = RandomValues(seed: 16)
    let numbers =
      [0, -0.0, 0.1, 1, 100, 1e15, 1e16, -1e16, 1e22, 1e-4, 1e-5, .pi, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1 / 3]
      + (0..<3_000).map { _ in random.number() }
    for number in numbers { #expect(try number.jsonText == JSON.text(number)) }
    for number in [Int64.min, -1, 0, 9, 10, .max] { #expect(try number.jsonText == JSON.text(number)) }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func aNumberThatIsNotFiniteIsRefused(_ number: Double) {
    let value: JSONValue = ["a": [1, .number(number)]]
    #expect(throws: EncodingError.self) { try value.jsonBytes }
    #expect(throws: EncodingError.self) { try JSON.text(value) }
  }

  @Test func documentsOfExecutionsAreWrittenAsTheyAreEncoded() throws {
    var random = RandomValues(seed: 1)
    for _ in 0..<300 {
      let document = random.document()
      #expect(try document.jsonText == JSON.text(document))
      let list = ExecutionList(
        executions: [document, random.document()], total: random.optional { _ in 3 }, limit: 2, offset: 1, hasMore: random.flag(),
        nextCursor: random.optional { $0.text() })
      #expect(try list.jsonText == JSON.text(list))
      let acceptance = ExecutionAcceptance(executionId: random.text(), status: document.status)
      #expect(try acceptance.jsonText == JSON.text(acceptance))
    }
  }

  @Test func requestsAreWrittenAsTheyAreEncoded() throws {
    var random = RandomValues(seed: 2)
    for _ in 0..<300 {
      let options = ExecuteRequest.Options(
        timeout: random.optional { $0.duration() }, priority: random.optional { $0.element(of: ExecutionPriority.allCases) },
        metadata: random.optional { $0.value(depth: 2) }, idempotencyKey: random.optional { $0.text() })
      let request = ExecuteRequest(input: random.value(depth: 2), options: random.optional { _ in options })
      #expect(try request.jsonText == JSON.text(request))
    }
  }

  @Test func payloadsToAnAgentAreWrittenAsTheyAreEncoded() throws {
    var random = RandomValues(seed: 3)
    func check(_ payload: some Encodable & JSONWritable) throws { #expect(try payload.jsonText == JSON.text(payload)) }
    for _ in 0..<300 {
      try check(
        ControlPlaneMessage.Registered(
          agentId: random.text(), capabilities: random.list { $0.text() },
          config: ControlPlaneMessage.Registered.Config(
            heartbeatInterval: random.duration(), taskTimeout: random.duration(), maxMessageSize: random.optional { _ in 1_048_576 })))
      try check(random.task())
      try check(ControlPlaneMessage.TaskCancelled(taskId: random.text(), executionId: random.text(), reason: random.text()))
      try check(ControlPlaneMessage.HeartbeatAck(serverTime: random.instant(), nextHeartbeat: random.duration()))
      try check(ControlPlaneMessage.ResultAck(taskId: random.text()))
      try check(ControlPlaneMessage.Reconnect(reason: random.text(), afterMs: 250))
      try check(ControlPlaneMessage.ProtocolError(code: random.text(), message: random.text(), fatal: random.flag()))
    }
  }
}
