/// The body of `POST /ha/stepdown`.
public struct StepDownRequest: Sendable, Hashable, Codable {
  /// The id of the next leader; nil leaves the choice to the election.
  public var to: String?
  /// The reason, for logs.
  public var reason: String?
  /// The term to end, so that a repeat after its end has no effect; nil for the present one.
  public var term: Int64?

  private enum CodingKeys: String, CodingKey, CaseIterable { case to, reason, term }

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - to: The id of the next leader; nil leaves the choice to the election.
  ///   - reason: The reason, for logs.
  ///   - term: The term to end, so that a repeat after its end has no effect; nil for the present one.
  public init(to: String? = nil, reason: String? = nil, term: Int64? = nil) {
    self.to = to
    self.reason = reason
    self.term = term
  }
}

/// The body of `POST /ha/elect`.
public struct ElectRequest: Sendable, Hashable, Codable {
  /// Whether to end the present term, bar its leader from campaigning for a while, and end a pause of elections.
  public var force: Bool
  /// The term that a forced election ends, so that a repeat after its end has no effect; nil for the present one.
  public var term: Int64?

  private enum CodingKeys: String, CodingKey, CaseIterable { case force, term }

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - force: Whether to end the present term, bar its leader from campaigning for a while, and end a pause of elections.
  ///   - term: The term that a forced election ends, so that a repeat after its end has no effect; nil for the present one.
  public init(force: Bool, term: Int64? = nil) {
    self.force = force
    self.term = term
  }

  /// Decodes a request; a missing `force` is false.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    force = try container.decodeIfPresent(Bool.self, forKey: .force) ?? false
    term = try container.decodeIfPresent(Int64.self, forKey: .term)
  }
}

/// The answer to `POST /ha/stepdown` and `POST /ha/elect`: the former and the new leader, and the time between.
public struct HandoverDocument: Sendable, Hashable {
  /// The id of the former leader; nil if there was none.
  public var old: String?
  /// The id of the new leader; nil if no node took over in time.
  public var new: String?
  /// The new term.
  public var term: Int64
  /// The time from the request until the answering node observed the new leader, in milliseconds.
  public var milliseconds: Int64

  package init(old: String?, new: String?, term: Int64, took duration: Duration) {
    self.old = old
    self.new = new
    self.term = term
    milliseconds = duration.wholeMilliseconds
  }
}

extension HandoverDocument: Codable {
  /// Encodes a missing leader as `null`, not as a missing field.
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
