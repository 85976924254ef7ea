/// A failure of the HTTP server.
package struct HTTPServerError: Error, CustomStringConvertible {
  /// A kind of failure.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    private let name: String

    package var description: String { name }

    /// The server cannot listen on the address.
    package static let bindFailed = Code(name: "bindFailed")
  }

  package let code: Code
  /// The failure and its remedy.
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
