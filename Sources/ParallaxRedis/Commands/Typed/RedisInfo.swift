/// What a server tells about itself: values by section and name.
///
/// ```swift
/// let used = try await client.send(.info("memory"))["used_memory"]
/// ```
public struct RedisInfo: Sendable, Hashable, RedisReplyDecodable {
  /// The values of each section by name, the sections as the server writes them, such as `Memory`.
  public let sections: [String: [String: String]]

  /// The text of INFO.
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

  /// A value, in whatever section it is.
  public subscript(name: String) -> String? {
    for section in sections.values { if let value = section[name] { return value } }
    return nil
  }
}
