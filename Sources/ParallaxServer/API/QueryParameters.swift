import ParallaxAPI
import ParallaxState
import ParallaxText

/// The query of a request, read strictly: an invalid value is an error that names the expected form.
struct QueryParameters {
  private var values: [String: String] = [:]

  /// Reads a query and refuses names outside `known`: a misspelled filter would otherwise be ignored silently.
  init(_ query: String?, known: [String]) throws(APIError) {
    for pair in (query ?? "").split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = try? PercentEncoding.decode(parts[0], plusIsSpace: true),
        let value = try? PercentEncoding.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: true)
      else {
        throw APIError(.validation, "the query is not percent-encoded UTF-8: \(pair)")
      }
      guard known.contains(name) else {
        throw Self.fault(String(name.prefix(64)), "unknown parameter; the known ones are \(known.joined(separator: ", "))")
      }
      guard values.updateValue(value, forKey: name) == nil else {
        throw Self.fault(name, "is given more than once")
      }
    }
  }

  /// A non-empty text.
  func text(_ name: String) throws(APIError) -> String? {
    guard let value = values[name] else { return nil }
    guard !value.isEmpty else { throw Self.fault(name, "expected a value, found nothing") }
    return value
  }

  /// The cursor of a page, as an earlier page returned it in `nextCursor`.
  func cursor(_ name: String) throws(APIError) -> String? {
    guard let value = try text(name) else { return nil }
    guard SortableID.timestamp(of: value) != nil else {
      throw Self.fault(name, "expected the nextCursor of another page, found \"\(value.prefix(64))\"")
    }
    return value
  }

  func number(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
    guard let value = values[name] else { return nil }
    guard let number = Int(value), range.contains(number) else {
      throw Self.fault(name, "expected a whole number from \(range.lowerBound) to \(range.upperBound), found \"\(value)\"")
    }
    return number
  }

  func flag(_ name: String) throws(APIError) -> Bool? {
    guard let value = values[name] else { return nil }
    switch value {
    case "true", "1": return true
    case "false", "0": return false
    default: throw Self.fault(name, "expected true or false, found \"\(value)\"")
    }
  }

  func instant(_ name: String) throws(APIError) -> Timestamp? {
    guard let value = values[name] else { return nil }
    // Clients often send the plus of a UTC offset unencoded, and in a query a plus means a space.
    guard let instant = Timestamp(value) ?? Timestamp(String(value.map { $0 == " " ? "+" : $0 })) else {
      throw Self.fault(name, "expected an ISO 8601 instant such as 2026-01-15T10:30:00Z, found \"\(value)\"")
    }
    return instant
  }

  func choice<Choice: RawRepresentable & CaseIterable>(_ name: String) throws(APIError) -> Choice? where Choice.RawValue == String {
    guard let value = values[name] else { return nil }
    guard let choice = Choice(rawValue: value) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw Self.fault(name, "expected one of \(known), found \"\(value)\"")
    }
    return choice
  }

  /// Comma-separated names, trimmed; empty ones are left out.
  func list(_ name: String) -> [String] {
    (values[name] ?? "").split(separator: ",").map { String($0.drop { $0 == " " }) }
      .map { String($0.reversed().drop { $0 == " " }.reversed()) }.filter { !$0.isEmpty }
  }

  private static func fault(_ name: String, _ message: String) -> APIError {
    APIError(.validation, "query parameter \(name): \(message)", details: ["parameter": .string(name)])
  }
}

extension ExecutionQuery {
  static let parameters = ["pattern", "status", "since", "until", "limit", "cursor", "offset"]

  /// `pattern`, `status`, `since`, `until`, `limit` (1 to 100, default 20), `cursor`, `offset` (0 to 10,000).
  init(_ query: QueryParameters) throws(APIError) {
    self.init(
      pattern: try query.text("pattern"), status: try query.choice("status"), since: try query.instant("since"),
      until: try query.instant("until"), limit: try query.number("limit", in: 1...100) ?? 20, cursor: try query.cursor("cursor"),
      offset: try query.number("offset", in: 0...10_000) ?? 0)
  }
}
