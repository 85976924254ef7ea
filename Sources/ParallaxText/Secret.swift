/// A text that nothing shows: no description, no dump and no reflection, also not of the values that hold it.
///
/// Logs and libraries print whole values, `ServiceGroup` its services among them: what must stay out of them must not be a plain text.
/// Encoding it, which hands it on, writes the text.
package struct Secret: Sendable, Hashable, Codable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text itself.
  package let text: String

  /// Hides a text.
  package init(_ text: String) {
    self.text = text
  }

  package init(from decoder: any Decoder) throws {
    text = try decoder.singleValueContainer().decode(String.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }

  package var description: String { "***" }
  package var debugDescription: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
