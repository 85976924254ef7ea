import ParallaxAPI

/// An error that a request can have whatever its route.
enum Refusal: String, CaseIterable {
  case badRequest = "BadRequest"
  case requestTimeout = "RequestTimeout"
  case payloadTooLarge = "PayloadTooLarge"
  case uriTooLong = "URITooLong"
  case expectationFailed = "ExpectationFailed"
  case headersTooLarge = "HeadersTooLarge"
  case notImplemented = "NotImplemented"
  case versionNotSupported = "VersionNotSupported"

  var status: Int {
    switch self {
    case .badRequest: 400
    case .requestTimeout: 408
    case .payloadTooLarge: 413
    case .uriTooLong: 414
    case .expectationFailed: 417
    case .headersTooLarge: 431
    case .notImplemented: 501
    case .versionNotSupported: 505
    }
  }

  private var summary: String {
    switch self {
    case .badRequest: "VALIDATION_ERROR: the request breaks a rule of HTTP or of the route"
    case .requestTimeout: "TIMEOUT: the request did not arrive completely in time, or the answer took too long"
    case .payloadTooLarge: "PAYLOAD_TOO_LARGE: the body is longer than limits.requestBody"
    case .uriTooLong: "VALIDATION_ERROR: the request target is longer than 8 KiB"
    case .expectationFailed: "VALIDATION_ERROR: an Expect other than 100-continue"
    case .headersTooLarge: "VALIDATION_ERROR: the headers are more than 100 or longer than 64 KiB, or one is longer than 16 KiB"
    case .notImplemented: "VALIDATION_ERROR: a transfer coding other than chunked; METHOD_NOT_ALLOWED: a method that no path has"
    case .versionNotSupported: "VALIDATION_ERROR: a version other than HTTP/1.1 and HTTP/1.0"
    }
  }

  var reference: JSONValue { ["$ref": .string("#/components/responses/\(rawValue)")] }

  var definition: JSONValue {
    ["description": .string(summary), "content": ["application/json": ["schema": Schema.error.reference]]]
  }
}
