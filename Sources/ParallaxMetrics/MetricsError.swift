/// A metric that could not be registered.
///
/// Registration fails only for mistakes in the program that registers: the message says which name or label is wrong and what to do about
/// it.
public struct MetricsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of mistake an error reports.
  ///
  /// More kinds may be added; compare with the constants rather than switching exhaustively.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The kind's name, as it appears in an error's description.
    public let description: String

    /// The metric's name, help text, buckets or quantiles break the rules of the exposition format.
    public static let invalidMetric = Code(description: "invalidMetric")
    /// A label's name breaks the rules of the exposition format, or is used twice.
    public static let invalidLabel = Code(description: "invalidLabel")
    /// The name, or one of the sample names derived from it, belongs to a metric of another type, shape or source.
    public static let conflict = Code(description: "conflict")
  }

  /// The kind of mistake.
  public let code: Code
  /// What is wrong and what would be accepted, for a developer to read.
  public let message: String

  /// The code followed by the message.
  public var description: String { "\(code): \(message)" }
}
