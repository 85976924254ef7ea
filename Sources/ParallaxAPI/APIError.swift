/// An error as the HTTP API and the command line state it: a code for programs, a message that says what to do, details.
package struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The codes of the API; each has one HTTP status.
  package enum Code: String, Sendable, Hashable, Codable, CaseIterable {
    case validation = "VALIDATION_ERROR"
    case unauthorized = "UNAUTHORIZED"
    case forbidden = "FORBIDDEN"
    case notFound = "NOT_FOUND"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    case timeout = "TIMEOUT"
    case conflict = "CONFLICT"
    case payloadTooLarge = "PAYLOAD_TOO_LARGE"
    case upgradeRequired = "UPGRADE_REQUIRED"
    case rateLimited = "RATE_LIMITED"
    case `internal` = "INTERNAL_ERROR"
    case noAgents = "NO_AGENTS"
    case notReady = "NOT_READY"

    /// The HTTP status that carries this code.
    package var status: Int {
      switch self {
      case .validation: 400
      case .unauthorized: 401
      case .forbidden: 403
      case .notFound: 404
      case .methodNotAllowed: 405
      case .timeout: 408
      case .conflict: 409
      case .payloadTooLarge: 413
      case .upgradeRequired: 426
      case .rateLimited: 429
      case .internal: 500
      case .noAgents, .notReady: 503
      }
    }
  }

  package var code: Code
  package var message: String
  package var details: JSONValue?

  package init(_ code: Code, _ message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }

  package var description: String { "\(code.rawValue): \(message)" }
}

/// The body of every response that is an error: `{"error":{"code","message","details"},"requestId"}`.
package struct ErrorDocument: Sendable, Hashable, Codable {
  /// The error itself.
  package struct Body: Sendable, Hashable, Codable {
    package var code: String
    package var message: String
    package var details: JSONValue?
  }

  package var error: Body
  package var requestId: String?

  package init(_ error: APIError, requestId: String?) {
    self.error = Body(code: error.code.rawValue, message: error.message, details: error.details)
    self.requestId = requestId
  }
}

extension APIError {
  /// Says of a `DecodingError` where the document is wrong and what was expected.
  package init(decoding error: any Error, of document: String) {
    guard let error = error as? DecodingError else {
      self.init(.validation, "\(document) could not be read: \(error)")
      return
    }
    func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
      var text = ""
      for key in context.codingPath + (last.map { [$0] } ?? []) {
        if let index = key.intValue { text += "[\(index)]" } else { text += text.isEmpty ? key.stringValue : ".\(key.stringValue)" }
      }
      return text
    }
    func fault(_ field: String, _ message: String) -> APIError {
      let place = field.isEmpty ? document : "\(document): \(field)"
      return APIError(.validation, "\(place): \(message)", details: field.isEmpty ? nil : ["field": .string(field)])
    }
    switch error {
    case .keyNotFound(let key, let context): self = fault(path(context, key), "is missing")
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      self = fault(path(context), "expected \(Self.jsonName(of: type))")
    case .dataCorrupted(let context):
      let reason = context.underlyingError.map { "\($0)" } ?? context.debugDescription
      self = context.codingPath.isEmpty ? fault("", "is not valid JSON: \(reason)") : fault(path(context), context.debugDescription)
    @unknown default: self = fault("", "could not be read")
    }
  }

  private static func jsonName(of type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is any BinaryInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    case is any Collection.Type where "\(type)".hasPrefix("Dictionary"): "an object"
    case is any Collection.Type: "an array"
    default: "an object"
    }
  }
}
