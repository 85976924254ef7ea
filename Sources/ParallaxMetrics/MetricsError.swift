/// The refused registration of a metric.
///
/// Registration fails only for a mistake in the program: the message names the wrong name or label and the remedy.
public struct MetricsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of a mistake.
  ///
  /// Later versions may add kinds; compare with the constants instead of switching exhaustively.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the kind in an error's description.
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
  /// The mistake and the accepted form.
  public let message: String

  /// The code followed by the message.
  public var description: String { "\(code): \(message)" }
}
