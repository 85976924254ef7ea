import ParallaxAPI
import ParallaxRedis

/// An uninterpreted value of a key.
enum ConfigurationInput: Sendable, Equatable {
  case text(String)
  case list([String])
}

/// A value in the notation of the configuration file.
enum ConfigurationText: Sendable, Equatable {
  case plain(String)
  case quoted(String)
  case list([String])
}

/// The parser and the formatter of one kind of value.
struct ValueType<Value: Sendable>: Sendable {
  /// The accepted values, phrased to follow the word "expected".
  let expected: String
  /// The accepted values as a JSON type.
  let shape: ValueShape
  let parse: @Sendable (ConfigurationInput) -> Value?
  let text: @Sendable (Value) -> ConfigurationText

  private init(
    _ expected: String, _ shape: ValueShape, text: @escaping @Sendable (Value) -> ConfigurationText,
    parse: @escaping @Sendable (String) -> Value?
  ) {
    self.expected = expected
    self.shape = shape
    self.text = text
    self.parse = { input in
      guard case .text(let text) = input else { return nil }
      return parse(text)
    }
  }
}

extension ValueType {
  /// A list, or a text whose elements are separated by commas.
  private init(
    list expected: String, _ shape: ValueShape = .list(of: .text), text: @escaping @Sendable (Value) -> [String],
    parse: @escaping @Sendable ([String]) -> Value?
  ) {
    self.expected = expected
    self.shape = shape
    self.text = { .list(text($0)) }
    self.parse = { input in
      switch input {
      case .list(let elements): parse(elements)
      case .text(let text): parse(text.split(separator: ",").map { $0.filter { $0 != " " } })
      }
    }
  }
}

extension ValueType<Bool> {
  static let truth = ValueType("true or false", .truth, text: { .plain("\($0)") }) { Bool($0) }
}

extension ValueType<Int> {
  static func number(_ bounds: ClosedRange<Int>) -> Self {
    ValueType("a whole number from \(bounds.lowerBound) to \(bounds.upperBound)", .number(bounds), text: { .plain("\($0)") }) { text in
      Int(text).flatMap { bounds.contains($0) ? $0 : nil }
    }
  }

  /// A number of bytes.
  static func size(_ bounds: ClosedRange<Int>) -> Self {
    let expected = "a size from \(ByteSize.text(bounds.lowerBound)) to \(ByteSize.text(bounds.upperBound)), such as 8MiB"
    return ValueType(expected, .size(bounds), text: { .plain(ByteSize.text($0)) }) { text in
      ByteSize.bytes(text).flatMap { bounds.contains($0) ? $0 : nil }
    }
  }
}

extension ValueType<Int?> {
  /// A number, or `off` for nil.
  static func numberOrOff(_ bounds: ClosedRange<Int>) -> Self {
    let expected = "a whole number from \(bounds.lowerBound) to \(bounds.upperBound), or off"
    return ValueType(expected, .numberOrOff(bounds), text: { .plain($0.map { "\($0)" } ?? "off") }) { text in
      // Tools with YAML 1.1, such as Helm, write `off` as `false`.
      if text == "off" || text == "false" { return .some(nil) }
      return Int(text).flatMap { bounds.contains($0) ? .some($0) : nil }
    }
  }

  /// A number of bytes, or `off` for nil.
  static func sizeOrOff(_ bounds: ClosedRange<Int>) -> Self {
    let expected = "a size from \(ByteSize.text(bounds.lowerBound)) to \(ByteSize.text(bounds.upperBound)), or off, such as 4KiB"
    return ValueType(expected, .sizeOrOff(bounds), text: { .plain($0.map(ByteSize.text) ?? "off") }) { text in
      if text == "off" || text == "false" { return .some(nil) }
      return ByteSize.bytes(text).flatMap { bounds.contains($0) ? .some($0) : nil }
    }
  }
}

extension ValueType<Duration> {
  static func duration(_ bounds: ClosedRange<Duration>) -> Self {
    let expected = "a duration from \(bounds.lowerBound.text) to \(bounds.upperBound.text), such as 15s, 500ms or 1m30s"
    return ValueType(expected, .duration, text: { .plain($0.text) }) { text in
      Duration(text: text).flatMap { bounds.contains($0) ? $0 : nil }
    }
  }
}

extension ValueType<String> {
  static func text(_ expected: String, where isValid: @escaping @Sendable (String) -> Bool) -> Self {
    ValueType(expected, .text, text: { .quoted($0) }) { isValid($0) ? $0 : nil }
  }

  /// Letters, digits, `-`, `_` and `.`, which need no escaping in a key, a path or a label.
  static func name(upTo limit: Int) -> Self {
    text("1 to \(limit) letters, digits, '-', '_' or '.'") {
      (1...limit).contains($0.utf8.count) && $0.utf8.allSatisfy(PatternDefinition.isNameByte)
    }
  }
}

extension ValueType<RedisURL> {
  static let redisURL = ValueType(
    "redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:///path", .text,
    text: { .quoted($0.text(secretsHidden: false)) }
  ) { RedisURL($0) }
}

extension ValueType<[RedisConfiguration.Endpoint]> {
  /// One or more servers, as a list or separated by commas.
  static func servers(port: Int) -> Self {
    ValueType(
      list: "a list of servers, each host or host:port, where the port is \(port) unless given",
      text: { $0.map(\.description) }
    ) { elements in
      let endpoints = elements.compactMap { try? RedisConfiguration.Endpoint($0, defaultPort: port) }
      return endpoints.count == elements.count && !endpoints.isEmpty ? endpoints : nil
    }
  }
}

extension ValueType where Value: RawRepresentable<String> & CaseIterable {
  static var choice: Self {
    let names = Value.allCases.map(\.rawValue)
    return ValueType("one of \(names.joined(separator: ", "))", .choice(names), text: { .plain($0.rawValue) }) { Value(rawValue: $0) }
  }
}

extension ValueType where Value: RawRepresentable<String> & CaseIterable {
  /// A choice with a value `off`.
  static var choiceWithOff: Self {
    let choice = choice
    return ValueType(choice.expected, .choiceWithOff(Value.allCases.map(\.rawValue)), text: choice.text) { text in
      // Tools with YAML 1.1, such as Helm, write `off` as `false`.
      Value(rawValue: text == "false" ? "off" : text)
    }
  }
}

extension ValueType<[String]> {
  /// A list, or a text whose elements are separated by commas.
  static func list(_ expected: String, where isValid: @escaping @Sendable (String) -> Bool) -> Self {
    ValueType(list: "a list of \(expected)", text: { $0 }) { $0.allSatisfy(isValid) ? $0 : nil }
  }
}

extension ValueType {
  /// A list of one or more choices, or a text whose elements are separated by commas.
  static func choices<Choice: RawRepresentable<String> & CaseIterable>(_ expected: String) -> Self where Value == [Choice] {
    ValueType(
      list: "a list of \(expected)", .list(of: .choice(Choice.allCases.map(\.rawValue))), text: { $0.map(\.rawValue) }
    ) { elements in
      let choices = elements.compactMap(Choice.init(rawValue:))
      return choices.count == elements.count && !choices.isEmpty ? choices : nil
    }
  }
}

/// Parses and formats numbers of bytes: `8MiB`, `512KiB`, `1000`.
enum ByteSize {
  private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]

  static func bytes(_ text: String) -> Int? {
    let unit = units.first { text.hasSuffix($0.0) }
    let digits = text.dropLast(unit?.0.count ?? 0)
    guard let first = digits.first, first.isASCII, first.isNumber, let value = Int(digits) else { return nil }
    let (product, overflow) = value.multipliedReportingOverflow(by: unit?.1 ?? 1)
    return overflow ? nil : product
  }

  static func text(_ bytes: Int) -> String {
    let unit = units.first { bytes >= $0.1 && bytes % $0.1 == 0 } ?? ("B", 1)
    return "\(bytes / unit.1)\(unit.0)"
  }
}
