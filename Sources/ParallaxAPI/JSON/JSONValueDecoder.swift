/// Decodes documents from a parsed ``JSONValue``.
///
/// A whole number decodes to any integer type that holds it, and any number to a double.
struct JSONValueDecoder: Decoder {
  let value: JSONValue
  /// The path of the container of the value.
  ///
  /// The two parts of the path are joined only for errors and further containers: a new array for each member would cost more than the
  /// rest of its decoding.
  private let containerPath: [any CodingKey]
  /// The place in the container; nil for the whole text.
  private let key: (any CodingKey)?
  let refusesUnknownMembers: Bool
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(value: JSONValue, refusesUnknownMembers: Bool) {
    self.init(value: value, in: [], at: nil, refusesUnknownMembers)
  }

  private init(value: JSONValue, in containerPath: [any CodingKey], at key: (any CodingKey)?, _ refusesUnknownMembers: Bool) {
    self.value = value
    self.containerPath = containerPath
    self.key = key
    self.refusesUnknownMembers = refusesUnknownMembers
  }

  var codingPath: [any CodingKey] {
    guard let key else { return containerPath }
    return containerPath + [key]
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .object(let members) = value else { throw mismatch([String: JSONValue].self) }
    if refusesUnknownMembers { try refuseUnknown(members, type) }
    return KeyedDecodingContainer(JSONKeyedContainer(decoder: self, members: members))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let elements) = value else { throw mismatch([JSONValue].self) }
    return JSONUnkeyedContainer(decoder: self, elements: elements)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer {
    JSONSingleContainer(decoder: self)
  }

  private func refuseUnknown<Key: CodingKey>(_ members: [String: JSONValue], _ type: Key.Type) throws {
    let unknown = members.keys.filter { Key(stringValue: $0) == nil }.sorted()
    guard let first = unknown.first else { return }
    var message = "there is no such member"
    if let keys = type as? any CaseIterable.Type { message += "; known are \(Self.names(keys).joined(separator: ", "))" }
    throw DecodingError.dataCorrupted(
      DecodingError.Context(codingPath: codingPath + [JSONKey(first)], debugDescription: message))
  }

  private static func names<Keys: CaseIterable>(_ keys: Keys.Type) -> [String] {
    keys.allCases.compactMap { ($0 as? any CodingKey)?.stringValue }
  }
}

// MARK: - Values

extension JSONValueDecoder {
  /// The decoder of a member or an element; `path` is the path of this decoder.
  func nested(_ value: JSONValue, _ key: any CodingKey, in path: [any CodingKey]) -> JSONValueDecoder {
    JSONValueDecoder(value: value, in: path, at: key, refusesUnknownMembers)
  }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    if type == JSONValue.self, let value = value as? Value { return value }
    do {
      return try Value(from: self)
    } catch DecodingError.dataCorrupted(let context) where context.codingPath.count == codingPath.count {
      // The standard library's error for an enumeration does not name the valid values.
      guard case .string(let text) = value, let choices = Self.choices(type) else { throw DecodingError.dataCorrupted(context) }
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: codingPath, debugDescription: "expected one of \(choices.joined(separator: ", ")), found \"\(text.prefix(64))\""))
    }
  }

  private static func choices<Value>(_ type: Value.Type) -> [String]? {
    func names<Choice: CaseIterable>(_ type: Choice.Type) -> [String] {
      type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
    }
    guard let choice = type as? any CaseIterable.Type else { return nil }
    let all = names(choice)
    return all.isEmpty ? nil : all
  }

  func string() throws -> String {
    guard case .string(let text) = value else { throw mismatch(String.self) }
    return text
  }

  func bool() throws -> Bool {
    guard case .bool(let flag) = value else { throw mismatch(Bool.self) }
    return flag
  }

  func double() throws -> Double {
    guard let number = value.doubleValue else { throw mismatch(Double.self) }
    return number
  }

  func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
    switch value {
    case .integer(let number):
      if let integer = Integer(exactly: number) { return integer }
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: codingPath, debugDescription: "expected a whole number from \(type.min) to \(type.max), found \(number)"))
    case .number(let number):
      guard let integer = Integer(exactly: number) else { throw mismatch(type) }
      return integer
    default: throw mismatch(type)
    }
  }

  /// The error for a value of another type; it describes the value without long texts.
  func mismatch(_ type: any Any.Type) -> DecodingError {
    let context = DecodingError.Context(codingPath: codingPath, debugDescription: "found \(value.brief)")
    if case .null = value { return .valueNotFound(type, context) }
    return .typeMismatch(type, context)
  }
}

extension JSONValue {
  fileprivate var brief: String {
    switch self {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .string(let text): "\"\(text.prefix(64))\""
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// A member name or an element index in a coding path.
struct JSONKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(_ name: String) {
    stringValue = name
    intValue = nil
  }

  init(index: Int) {
    stringValue = "\(index)"
    intValue = index
  }

  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { self.init(index: intValue) }
}

// MARK: - Containers

private struct JSONKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let decoder: JSONValueDecoder
  let members: [String: JSONValue]
  let codingPath: [any CodingKey]

  init(decoder: JSONValueDecoder, members: [String: JSONValue]) {
    self.decoder = decoder
    self.members = members
    codingPath = decoder.codingPath
  }

  var allKeys: [Key] { members.keys.compactMap { Key(stringValue: $0) } }

  func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }

  func decodeNil(forKey key: Key) throws -> Bool {
    if case .null = try member(key).value { true } else { false }
  }

  private func member(_ key: Key) throws -> JSONValueDecoder {
    guard let value = members[key.stringValue] else {
      throw DecodingError.keyNotFound(key, DecodingError.Context(codingPath: codingPath, debugDescription: "missing"))
    }
    return decoder.nested(value, key, in: codingPath)
  }

  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try member(key).bool() }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try member(key).string() }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try member(key).double() }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { Float(try member(key).double()) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try member(key).integer(type) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try member(key).integer(type) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try member(key).integer(type) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try member(key).integer(type) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try member(key).integer(type) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try member(key).integer(type) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try member(key).integer(type) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try member(key).integer(type) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try member(key).integer(type) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try member(key).integer(type) }
  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try member(key).decode(type) }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
    try member(key).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try member(key).unkeyedContainer() }

  func superDecoder() throws -> any Decoder { decoder.nested(members["super"] ?? .null, JSONKey("super"), in: codingPath) }
  func superDecoder(forKey key: Key) throws -> any Decoder { decoder.nested(members[key.stringValue] ?? .null, key, in: codingPath) }
}

private struct JSONUnkeyedContainer: UnkeyedDecodingContainer {
  let decoder: JSONValueDecoder
  let elements: [JSONValue]
  let codingPath: [any CodingKey]
  private(set) var currentIndex = 0

  init(decoder: JSONValueDecoder, elements: [JSONValue]) {
    self.decoder = decoder
    self.elements = elements
    codingPath = decoder.codingPath
  }

  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex == elements.count }

  private var element: JSONValueDecoder {
    get throws {
      guard !isAtEnd else {
        throw DecodingError.valueNotFound(
          JSONValue.self,
          DecodingError.Context(codingPath: codingPath + [JSONKey(index: currentIndex)], debugDescription: "found the end of the array"))
      }
      return decoder.nested(elements[currentIndex], JSONKey(index: currentIndex), in: codingPath)
    }
  }

  mutating func decodeNil() throws -> Bool {
    guard case .null = try element.value else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    let value = try element.decode(type)
    currentIndex += 1
    return value
  }

  mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
    let container = try element.container(keyedBy: type)
    currentIndex += 1
    return container
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    let container = try element.unkeyedContainer()
    currentIndex += 1
    return container
  }

  mutating func superDecoder() throws -> any Decoder {
    let decoder = try element
    currentIndex += 1
    return decoder
  }
}

private struct JSONSingleContainer: SingleValueDecodingContainer {
  let decoder: JSONValueDecoder

  var codingPath: [any CodingKey] { decoder.codingPath }

  func decodeNil() -> Bool {
    if case .null = decoder.value { true } else { false }
  }

  func decode(_ type: Bool.Type) throws -> Bool { try decoder.bool() }
  func decode(_ type: String.Type) throws -> String { try decoder.string() }
  func decode(_ type: Double.Type) throws -> Double { try decoder.double() }
  func decode(_ type: Float.Type) throws -> Float { Float(try decoder.double()) }
  func decode(_ type: Int.Type) throws -> Int { try decoder.integer(type) }
  func decode(_ type: Int8.Type) throws -> Int8 { try decoder.integer(type) }
  func decode(_ type: Int16.Type) throws -> Int16 { try decoder.integer(type) }
  func decode(_ type: Int32.Type) throws -> Int32 { try decoder.integer(type) }
  func decode(_ type: Int64.Type) throws -> Int64 { try decoder.integer(type) }
  func decode(_ type: UInt.Type) throws -> UInt { try decoder.integer(type) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try decoder.integer(type) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try decoder.integer(type) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try decoder.integer(type) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try decoder.integer(type) }
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.decode(type) }
}
