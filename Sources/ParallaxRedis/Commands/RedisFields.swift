/// Names with values for HSET, MSET and XADD: of mixed types, in order.
///
/// ```swift
/// try await client.send(.hset("job:7", ["status": "running", "attempts": 3]))
/// ```
public struct RedisFields: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// Name, value, name, value and so on.
  private(set) var arguments: [RedisArgument] = []

  /// Creates fields of a literal, in its order.
  public init(dictionaryLiteral elements: (String, any RedisArgumentConvertible)...) {
    for (name, value) in elements { append(name, value) }
  }

  /// Creates fields of a dictionary, or of other pairs in their order.
  ///
  /// - Parameter pairs: The names and values.
  public init<Value: RedisArgumentConvertible>(_ pairs: some Sequence<(key: String, value: Value)>) {
    for (name, value) in pairs { append(name, value) }
  }

  /// Appends a field.
  ///
  /// - Parameters:
  ///   - name: The field's name.
  ///   - value: The field's value.
  public mutating func append(_ name: String, _ value: some RedisArgumentConvertible) {
    arguments.append(RedisArgument(name))
    arguments.append(value.redisArgument)
  }
}
