import HTTPTypes
import ParallaxAPI

/// Who may call a route.
///
/// Every route states this in its declaration, which has no default.
enum RouteAccess: Sendable, Hashable {
  /// Everyone.
  case open
  /// Everyone, unless `security.protectStatus` restricts it to callers with the scope `read`.
  case status
  /// Callers with this scope.
  case scope(AccessScope)

  /// The scope that a caller needs; nil if everyone may call.
  func scope(protectStatus: Bool) -> AccessScope? {
    switch self {
    case .open: nil
    case .status: protectStatus ? .read : nil
    case .scope(let scope): scope
    }
  }
}

/// A method and a path of the server, with its access.
struct RouteDeclaration: Sendable {
  let method: String
  /// The path; a part that begins with a colon stands for any name.
  let path: String
  let access: RouteAccess
  /// What the route does; nil for what is no part of the API.
  let operation: Operation?

  /// All routes of the server: the probes, the agents' WebSocket, and the API.
  static func all(_ api: APIRoutes) -> [RouteDeclaration] {
    let agents = RouteDeclaration(
      method: "GET", path: WebSocketHandshake.path, access: WebSocketHandshake.access, operation: .connectAgent)
    return Probe.declarations + [agents]
      + api.all.map { RouteDeclaration(method: $0.method.rawValue, path: $0.path, access: $0.access, operation: $0.operation) }
  }
}

extension HTTPErrorResponse {
  /// Refuses a request without valid credentials.
  static func unauthorized(_ fault: KeyRing.Fault) -> HTTPErrorResponse {
    let challenge = "Bearer realm=\"parallax\""
    switch fault {
    case .missing:
      return HTTPErrorResponse(
        .unauthorized,
        "The node knows its callers by an API key, a JWT, or a client certificate with scopes: send the header `Authorization: Bearer KEY`.",
        headers: [(authenticate, challenge)])
    case .malformed:
      return HTTPErrorResponse(
        .unauthorized, "Authorization: expected one header with `Bearer` and an API key of 20 to 512 letters, digits or -._~+/=",
        headers: [(authenticate, challenge + ", error=\"invalid_request\"")])
    case .unknownKey:
      return HTTPErrorResponse(
        .unauthorized, "The API key is none of this node's keys (security.authentication.apiKeys).",
        headers: [(authenticate, challenge + ", error=\"invalid_token\"")])
    case .withdrawn:
      return HTTPErrorResponse(
        .unauthorized, "The node's keys, tokens or scopes have changed, and it does not accept this caller any more.",
        headers: [(authenticate, challenge + ", error=\"invalid_token\"")])
    case .token(let fault):
      return HTTPErrorResponse(
        .unauthorized, fault.message, headers: [(authenticate, challenge + ", error=\"invalid_token\"")])
    }
  }

  /// The refusal of a principal that lacks a scope; nil if the principal has it, or needs none.
  static func refusal(of principal: Principal, needing scope: AccessScope?) -> HTTPErrorResponse? {
    guard let scope, !principal.may(scope) else { return nil }
    guard principal.identity != .anonymous else { return unauthorized(.missing) }
    let held = AccessScope.allCases.filter { principal.scopes.contains($0) }.map(\.rawValue).joined(separator: ", ")
    let error = APIError(
      .forbidden, "The request needs the scope \(scope.rawValue); \(principal.identity) has \(held.isEmpty ? "none" : held).",
      details: ["scope": .string(scope.rawValue)])
    return HTTPErrorResponse(
      error, headers: [(authenticate, "Bearer realm=\"parallax\", error=\"insufficient_scope\", scope=\"\(scope.rawValue)\"")])
  }

  private static let authenticate = "WWW-Authenticate"
}
