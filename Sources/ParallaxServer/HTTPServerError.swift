/// Why the HTTP server cannot do its work.
package struct HTTPServerError: Error, CustomStringConvertible {
  /// A kind of failure.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    private let name: String

    package var description: String { name }

    /// The address cannot be listened on.
    package static let bindFailed = Code(name: "bindFailed")
  }

  package let code: Code
  /// What went wrong and what to do about it.
  package let message: String
  package let cause: (any Error)?

  package init(code: Code, message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  package var description: String {
    cause.map { "\(message): \($0)" } ?? message
  }
}
