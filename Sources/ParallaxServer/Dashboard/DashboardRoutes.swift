import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import ParallaxAPI

/// The routes of the dashboard: its files, which are open because they hold no data, and the session of a browser.
///
/// A browser's `EventSource` sends no `Authorization` header, so a log-in keeps the key in a cookie that no script can read and no other
/// site can cause to be sent. The page itself calls the same API as every other client.
struct DashboardRoutes: Sendable {
  static let path = "/ui/"

  let service: any ControlPlaneService

  var all: [APIRoutes.Route] {
    let files = DashboardFile.all.map { file in
      APIRoutes.Route(method: .get, path: Self.path + file.path, access: .open, operation: nil) { request, _ in
        // The page's links are relative to its folder.
        request.uri.path == "/ui" ? .redirect(to: Self.path, type: .permanent) : file.response(to: request)
      }
    }
    return files + [
      APIRoutes.Route(method: .get, path: "/ui/session", access: .open, operation: .getSession) { _, context in
        try .json(session(of: context.caller))
      },
      APIRoutes.Route(method: .post, path: "/ui/session", access: .scope(.read), operation: .logIn, handler: logIn),
      APIRoutes.Route(method: .delete, path: "/ui/session", access: .open, operation: .logOut) { request, _ in
        Self.answer(setting: "", of: request, until: "; Max-Age=0")
      },
    ]
  }

  private func session(of caller: Caller) -> SessionDocument {
    let principal = caller.principal
    let node = service.node
    return SessionDocument(
      identity: "\(principal.identity)", scopes: AccessScope.allCases.filter(principal.may), node: node.id, cluster: node.clusterID,
      version: node.version, highAvailability: !node.isAlone)
  }

  /// Keeps the key of the request, which the route has checked, in a cookie.
  @Sendable
  private func logIn(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    guard let header = request.headers[.authorization], let key = KeyRing.bearer([header]), SessionCookie.canHold(key) else {
      throw APIError(
        .validation,
        "a log-in needs the header `Authorization: Bearer KEY`, with a key or token of at most \(SessionCookie.sizeLimit) bytes")
    }
    return Self.answer(setting: String(key), of: request)
  }

  private static func answer(setting value: String, of request: Request, until end: String = "") -> Response {
    var cookie = "\(SessionCookie.name)=\(value); Path=/; HttpOnly; SameSite=Strict\(end)"
    // A proxy that ends TLS tells so; a client that claims it gets a stricter cookie.
    let forwarded = HTTPField.Name("X-Forwarded-Proto").flatMap { request.headers[$0] }?.split(separator: ",").first
    let isForwardedSecurely = forwarded?.lowercased().trimmingPrefix(" ") == "https"
    if request.head.scheme == "https" || isForwardedSecurely { cookie += "; Secure" }
    return Response(status: .noContent, headers: [.setCookie: cookie, .cacheControl: "no-store"])
  }
}
