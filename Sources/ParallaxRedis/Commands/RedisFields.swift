/// Names with values, as HSET, MSET and XADD take them: of mixed types, in order.
///
/// ```swift
/// try await client.send(.hset("job:7", ["status": "running", "attempts": 3]))
/// ```
public struct RedisFields: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// Name, value, name, value and so on.
  private(set) var arguments: [RedisArgument] = []

  /// Takes a literal, in its order.
  public init(dictionaryLiteral elements: (String, any RedisArgumentConvertible)...) {
    for (name, value) in elements { append(name, value) }
  }

  /// Takes a dictionary, or other pairs in their order.
  ///
  /// - Parameter pairs: The names and values.
  public init<Value: RedisArgumentConvertible>(_ pairs: some Sequence<(key: String, value: Value)>) {
    for (name, value) in pairs { append(name, value) }
  }

  /// Adds a field at the end.
  ///
  /// - Parameters:
  ///   - name: Its name.
  ///   - value: Its value.
  public mutating func append(_ name: String, _ value: some RedisArgumentConvertible) {
    arguments.append(RedisArgument(name))
    arguments.append(value.redisArgument)
  }
}
