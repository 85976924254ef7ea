/// A server's report about itself: values by section and name.
///
/// ```swift
/// let used = try await client.send(.info("memory"))["used_memory"]
/// ```
public struct RedisInfo: Sendable, Hashable, RedisReplyDecodable {
  /// The values by section and name; the sections are spelled as in the reply, such as `Memory`.
  public let sections: [String: [String: String]]

  /// Parses the text of INFO.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let text = try String(reply: reply)
    var sections: [String: [String: String]] = [:]
    var section = ""
    for line in text.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("# ") {
        section = String(line.dropFirst(2))
        sections[section] = sections[section] ?? [:]
      } else if let colon = line.firstIndex(of: ":") {
        sections[section, default: [:]][String(line[..<colon])] = String(line[line.index(after: colon)...])
      }
    }
    self.sections = sections
  }

  /// The value of a name in any section; `nil` if it is missing.
  public subscript(name: String) -> String? {
    for section in sections.values { if let value = section[name] { return value } }
    return nil
  }
}
