import ParallaxAPI

/// Values of a fixed sequence, which exercise optional members, escapes and the notations of numbers.
struct RandomValues {
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  mutating func flag() -> Bool { Bool.random(using: &generator) }

  mutating func element<Element>(of elements: [Element]) -> Element { elements[Int.random(in: elements.indices, using: &generator)] }

  mutating func optional<Value>(_ make: (inout RandomValues) -> Value) -> Value? { flag() ? make(&self) : nil }

  mutating func list<Element>(_ make: (inout RandomValues) -> Element) -> [Element] {
    (0..<Int.random(in: 0...3, using: &generator)).map { _ in make(&self) }
  }

  mutating func duration() -> Duration { .milliseconds(Int64.random(in: 0...86_400_000, using: &generator)) }

  mutating func instant() -> Timestamp { Timestamp(milliseconds: Int64.random(in: 0...4_102_444_800_000, using: &generator)) }

  /// A text with characters of each length in UTF-8, with and without escapes.
  mutating func text() -> String {
    let pieces = [
      "", "a", "Z9", "/", "\"", "\\", "\n", "\u{0}", "\u{1F}", "\u{7F}", "é", "e\u{301}", "✓", "\u{2028}", "👩‍👩‍👧‍👦", "long text without escapes",
    ]
    return (0..<Int.random(in: 0...5, using: &generator)).map { _ in element(of: pieces) }.joined()
  }

  /// A finite number of any magnitude.
  mutating func number() -> Double {
    switch Int.random(in: 0...3, using: &generator) {
    case 0: return Double.random(in: -1...1, using: &generator)
    case 1: return (Double.random(in: -1e6...1e6, using: &generator) * 100).rounded() / 100
    case 2: return Double(Int64.random(in: .min ... .max, using: &generator))
    default:
      let any = Double(bitPattern: generator.next())
      return any.isFinite ? any : 0.5
    }
  }

  mutating func value(depth: Int) -> JSONValue {
    switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
    case 0: return .null
    case 1: return .bool(flag())
    case 2: return .integer(Int64.random(in: .min ... .max, using: &generator))
    case 3: return .number(number())
    case 4: return .string(text())
    case 5: return .array(list { $0.value(depth: depth - 1) })
    default:
      let members = list { ($0.text(), $0.value(depth: depth - 1)) } + list { ($0.text(), $0.value(depth: depth - 1)) }
      return .object(Dictionary(members) { _, last in last })
    }
  }

  mutating func failure() -> ExecutionFailure {
    ExecutionFailure(code: text(), message: text(), details: optional { $0.value(depth: 1) })
  }

  mutating func document() -> ExecutionDocument {
    ExecutionDocument(
      executionId: text(), pattern: PatternReference(name: text(), version: text()), status: element(of: ExecutionStatus.allCases),
      input: value(depth: 2), result: optional { $0.value(depth: 2) }, error: optional { $0.failure() }, createdAt: instant(),
      startedAt: optional { $0.instant() }, completedAt: optional { $0.instant() }, nodeId: text(), attempt: 1,
      agents: list { random in
        ExecutionDocument.AgentPart(
          id: random.text(), status: "completed", result: random.optional { $0.value(depth: 2) }, error: random.optional { $0.failure() },
          confidence: random.optional { $0.number() }, duration: random.optional { $0.duration() })
      }, metadata: optional { $0.value(depth: 2) })
  }

  mutating func task() -> ControlPlaneMessage.Task {
    ControlPlaneMessage.Task(
      taskId: text(), executionId: text(), patternName: text(), patternVersion: text(), capability: text(), input: value(depth: 3),
      timeout: duration(), priority: element(of: ExecutionPriority.allCases),
      context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 2))
  }
}
