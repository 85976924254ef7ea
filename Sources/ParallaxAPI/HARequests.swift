/// The body of `POST /ha/stepdown`.
public struct StepDownRequest: Sendable, Hashable, Codable {
  /// The node that is to lead next; nil leaves it to the election.
  public var to: String?
  /// Why, for the logs.
  public var reason: String?
  /// The term that is to end, so that a repeat after its end changes nothing; nil means the present one.
  public var term: Int64?

  private enum CodingKeys: String, CodingKey, CaseIterable { case to, reason, term }

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - to: The node that is to lead next; nil leaves it to the election.
  ///   - reason: Why, for the logs.
  ///   - term: The term that is to end; nil means the present one.
  public init(to: String? = nil, reason: String? = nil, term: Int64? = nil) {
    self.to = to
    self.reason = reason
    self.term = term
  }
}

/// The body of `POST /ha/elect`.
public struct ElectRequest: Sendable, Hashable, Codable {
  /// Whether the present leader has to stop and may not campaign for a while, and a pause ends.
  public var force: Bool
  /// The term that a forced election ends, so that a repeat after its end changes nothing; nil means the present one.
  public var term: Int64?

  private enum CodingKeys: String, CodingKey, CaseIterable { case force, term }

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - force: Whether the present leader has to stop.
  ///   - term: The term that a forced election ends; nil means the present one.
  public init(force: Bool, term: Int64? = nil) {
    self.force = force
    self.term = term
  }

  /// Reads a request; without `force` it is false.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    force = try container.decodeIfPresent(Bool.self, forKey: .force) ?? false
    term = try container.decodeIfPresent(Int64.self, forKey: .term)
  }
}

/// The answer to `POST /ha/stepdown` and `POST /ha/elect`: who led, who leads, and how long it took.
public struct HandoverDocument: Sendable, Hashable {
  /// The leader before; nil when there was none.
  public var old: String?
  /// The leader now; nil when nobody took over in time.
  public var new: String?
  /// The term now.
  public var term: Int64
  /// From the request until the new leader was seen.
  public var milliseconds: Int64

  package init(old: String?, new: String?, term: Int64, took duration: Duration) {
    self.old = old
    self.new = new
    self.term = term
    milliseconds = duration.wholeMilliseconds
  }
}

extension HandoverDocument: Codable {
  /// Writes a missing leader as `null`, not as a missing field.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(old, forKey: .old)
    try container.encode(new, forKey: .new)
    try container.encode(term, forKey: .term)
    try container.encode(milliseconds, forKey: .milliseconds)
  }
}

/// The answer to `POST /ha/pause` and `POST /ha/resume`.
public struct PauseDocument: Sendable, Hashable, Codable {
  /// Whether elections are suspended now.
  public var paused: Bool

  package init(paused: Bool) {
    self.paused = paused
  }
}
