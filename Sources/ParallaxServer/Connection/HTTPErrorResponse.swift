import NIOCore
import ParallaxAPI

/// An error answer: the error, and what HTTP wants to be said with it.
struct HTTPErrorResponse: Error {
  var error: APIError
  /// Another status than that of the error's code, where HTTP has a more exact one.
  var status: Int
  var headers: [(name: String, value: String)]

  init(_ error: APIError, status: Int? = nil, headers: [(name: String, value: String)] = []) {
    self.error = error
    self.status = status ?? error.code.status
    self.headers = headers
    if self.status == 503, !headers.contains(where: { $0.name == Self.retryAfter.name }) { self.headers.append(Self.retryAfter) }
  }

  /// Whatever is not ready may be so in a second, or another node may.
  private static let retryAfter = (name: "Retry-After", value: "1")

  init(_ code: APIError.Code, _ message: String, status: Int? = nil, headers: [(name: String, value: String)] = []) {
    self.init(APIError(code, message), status: status, headers: headers)
  }

  /// The error document.
  func body(requestID: String) -> ByteBuffer {
    do {
      return ByteBuffer(bytes: try JSON.encode(ErrorDocument(error, requestId: requestID)))
    } catch {
      // Only details with a number that JSON cannot express get here.
      return ByteBuffer(string: #"{"error":{"code":"INTERNAL_ERROR","message":"the error could not be expressed in JSON"}}"#)
    }
  }
}
