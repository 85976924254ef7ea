/// The body of `POST /ha/stepdown`.
package struct StepDownRequest: Sendable, Hashable, Codable {
  /// The node that is to lead next; nil leaves it to the election.
  package var to: String?
  /// Why, for the logs.
  package var reason: String?
  /// The term that is to end, so that a repeat after its end changes nothing; nil means the present one.
  package var term: Int64?

  package init(to: String? = nil, reason: String? = nil, term: Int64? = nil) {
    self.to = to
    self.reason = reason
    self.term = term
  }
}

/// The body of `POST /ha/elect`.
package struct ElectRequest: Sendable, Hashable, Codable {
  /// Whether the present leader has to stop and is barred for a while, and a pause ends.
  package var force: Bool
  /// The term that a forced election ends, so that a repeat after its end changes nothing; nil means the present one.
  package var term: Int64?

  package init(force: Bool, term: Int64? = nil) {
    self.force = force
    self.term = term
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    force = try container.decodeIfPresent(Bool.self, forKey: .force) ?? false
    term = try container.decodeIfPresent(Int64.self, forKey: .term)
  }
}

/// The answer to `POST /ha/stepdown` and `POST /ha/elect`: who led, who leads, and how long it took.
package struct HandoverDocument: Sendable, Hashable {
  /// The leader before; nil when there was none.
  package var old: String?
  /// The leader now; nil when nobody took over in time.
  package var new: String?
  /// The term now.
  package var term: Int64
  /// From the request until the new leader was seen.
  package var milliseconds: Int64

  package init(old: String?, new: String?, term: Int64, took duration: Duration) {
    self.old = old
    self.new = new
    self.term = term
    milliseconds = duration.wholeMilliseconds
  }
}

extension HandoverDocument: Codable {
  /// Writes a missing leader as `null`, not as a missing field.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(old, forKey: .old)
    try container.encode(new, forKey: .new)
    try container.encode(term, forKey: .term)
    try container.encode(milliseconds, forKey: .milliseconds)
  }
}

/// The answer to `POST /ha/pause` and `POST /ha/resume`.
package struct PauseDocument: Sendable, Hashable, Codable {
  /// Whether elections are suspended now.
  package var paused: Bool

  package init(paused: Bool) {
    self.paused = paused
  }
}
