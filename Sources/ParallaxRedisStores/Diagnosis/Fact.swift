/// Something that a diagnosis asked for, or the reason that it is unknown.
package enum Fact<Value: Sendable>: Sendable {
  case known(Value)
  /// The reason, as the end of "… is unknown: ".
  case unknown(String)

  /// The value; nil if it is unknown.
  package var value: Value? {
    if case .known(let value) = self { value } else { nil }
  }

  /// The fact that follows from this one, unknown for the same reason.
  package func map<Other: Sendable>(_ transform: (Value) throws -> Other) rethrows -> Fact<Other> {
    switch self {
    case .known(let value): .known(try transform(value))
    case .unknown(let reason): .unknown(reason)
    }
  }
}

extension Fact: Equatable where Value: Equatable {}
