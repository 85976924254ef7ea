import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import ParallaxAPI

/// The log of what administrators do: who, from where, what, and the result.
enum AuditLog {
  private static let longestPath = 256

  /// Logs each call of a handler, also a refused one.
  static func logging(_ handler: @escaping APIRoutes.Handler) -> APIRoutes.Handler {
    { request, context in
      do {
        let response = try await handler(request, context)
        log(request, context, result: "\(response.status.code)")
        return response
      } catch {
        log(request, context, result: code(of: error).rawValue)
        throw error
      }
    }
  }

  private static func log(_ request: Request, _ context: APIRequestContext, result: String) {
    context.logger.notice(
      "administrative action",
      metadata: [
        "principal": "\(context.caller.principal.identity)", "address": "\(context.address ?? "unknown")",
        "action": "\(request.method) \(request.uri.path.prefix(longestPath))", "result": "\(result)",
      ])
  }

  private static func code(of error: any Error) -> APIError.Code {
    switch error {
    case let error as APIError: error.code
    case let refusal as HTTPErrorResponse: refusal.error.code
    default: .internal
    }
  }
}
