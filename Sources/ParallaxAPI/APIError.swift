/// An error of the HTTP API and the command line: a code for programs, a message for people, details.
public struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The error codes of the API; each has one HTTP status.
  public enum Code: String, Sendable, Hashable, Codable, CaseIterable {
    /// The request is malformed or breaks a rule.
    case validation = "VALIDATION_ERROR"
    /// The request has no valid credentials.
    case unauthorized = "UNAUTHORIZED"
    /// The credentials do not allow the request.
    case forbidden = "FORBIDDEN"
    /// The named resource does not exist.
    case notFound = "NOT_FOUND"
    /// The path does not support the method.
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    /// The request or the execution timed out.
    case timeout = "TIMEOUT"
    /// The request conflicts with the present state, for instance because another request used its idempotency key.
    case conflict = "CONFLICT"
    /// The body is larger than `limits.requestBody`.
    case payloadTooLarge = "PAYLOAD_TOO_LARGE"
    /// The path serves WebSockets only.
    case upgradeRequired = "UPGRADE_REQUIRED"
    /// The client sent too many requests; a later repeat may succeed.
    case rateLimited = "RATE_LIMITED"
    /// The node failed; its log has the reason.
    case `internal` = "INTERNAL_ERROR"
    /// No agent with the needed capabilities connected in time.
    case noAgents = "NO_AGENTS"
    /// The node does not accept work now; another node may.
    case notReady = "NOT_READY"

    /// The HTTP status that carries this code.
    public var status: Int {
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

  /// The code, for programs.
  public var code: Code
  /// A description of the fault and its remedy, for people.
  public var message: String
  /// Further details, in a form that depends on the code.
  public var details: JSONValue?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The code, for programs.
  ///   - message: A description of the fault and its remedy, for people.
  ///   - details: Further details; nil, the default, without any.
  public init(_ code: Code, _ message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }

  /// The code and the message.
  public var description: String { "\(code.rawValue): \(message)" }
}

/// The body of every error response: `{"error":{"code","message","details"},"requestId"}`.
public struct ErrorDocument: Sendable, Hashable, Codable {
  /// The member `error`.
  public struct Body: Sendable, Hashable, Codable {
    /// One of ``APIError/Code``, or a code of a newer node.
    public var code: String
    /// A description of the fault and its remedy, for people.
    public var message: String
    /// Further details, in a form that depends on the code.
    public var details: JSONValue?
  }

  /// The error.
  public var error: Body
  /// The id of the request in the node's log and in the header `X-Request-Id`.
  public var requestId: String?

  package init(_ error: APIError, requestId: String?) {
    self.error = Body(code: error.code.rawValue, message: error.message, details: error.details)
    self.requestId = requestId
  }
}

extension APIError {
  /// Describes the location and the expectation of a ``JSONFault`` or a `DecodingError`.
  package init(decoding error: any Error, of document: String) {
    if let fault = error as? JSONFault {
      self.init(
        .validation, fault.kind == .malformed ? "\(document) is not valid JSON: \(fault)" : "\(document): \(fault)",
        details: ["line": .integer(Int64(fault.line)), "column": .integer(Int64(fault.column))])
      return
    }
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
      let found = context.debugDescription.hasPrefix("found ") ? ", \(context.debugDescription)" : ""
      self = fault(path(context), "expected \(Self.jsonName(of: type))" + found)
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
