import NIOCore
import ParallaxAPI

/// An error response: the API error with its status and headers.
struct HTTPErrorResponse: Error {
  var error: APIError
  /// The status; it differs from that of the error's code where HTTP has a more exact one.
  var status: Int
  var headers: [(name: String, value: String)]

  init(_ error: APIError, status: Int? = nil, headers: [(name: String, value: String)] = []) {
    self.error = error
    self.status = status ?? error.code.status
    self.headers = headers
    if self.status == 503, !headers.contains(where: { $0.name == Self.retryAfter.name }) { self.headers.append(Self.retryAfter) }
  }

  /// A condition that ends soon, or that another node may not have, deserves a retry after a second.
  private static let retryAfter = (name: "Retry-After", value: "1")

  init(_ code: APIError.Code, _ message: String, status: Int? = nil, headers: [(name: String, value: String)] = []) {
    self.init(APIError(code, message), status: status, headers: headers)
  }

  /// The error document.
  func body(requestID: String) -> ByteBuffer {
    do {
      return ByteBuffer(bytes: try JSON.encode(ErrorDocument(error, requestId: requestID)))
    } catch {
      // Only a detail with a number that JSON cannot express fails to encode.
      return ByteBuffer(string: #"{"error":{"code":"INTERNAL_ERROR","message":"the error could not be expressed in JSON"}}"#)
    }
  }
}
