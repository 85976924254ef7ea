import ParallaxAPI

/// Decides which requests reach a route, and as whom.
///
/// Three rules apply. A node with API keys answers their holders only, except on open routes. A node without keys that other machines can
/// reach is in *protected mode*: it answers open routes only, until keys or `security.allowUnauthenticated` are set. And no web page may
/// reach a node through a browser: the guard refuses a request with a foreign `Origin`, and a request whose `Host` an attacker may have
/// pointed at this machine (DNS rebinding). A node on a loopback address accepts the names of this machine and the configured names only;
/// any other node refuses public names in requests of browsers.
package struct AccessGuard: Sendable {
  /// The parts of a request that decide about access.
  struct Call {
    var method: String
    var path: Substring
    /// As sent, or as a trusted proxy forwards it; nil without that header, as in HTTP/1.0.
    var host: Authority?
    var origin: String?
    /// The request has signs of a browser other than `Origin`, which browsers omit from most GET requests.
    var isFromBrowser = false
  }

  /// A route that needs no credentials.
  package struct OpenRoute: Sendable, Hashable {
    private let method: String
    private let path: String

    /// Makes a route; as in the router, a slash at the end of a path means nothing.
    init(method: String, path: some StringProtocol) {
      self.method = method
      self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : String(path)
    }
  }

  /// The server listens on loopback addresses only.
  package var isLoopback: Bool
  /// `security.allowUnauthenticated`: every client that can connect may use the API.
  package var allowUnauthenticated: Bool
  /// The API keys; without any, and outside protected mode, every caller may do everything.
  package var keys: KeyRing
  /// Clients' certificates have scopes (`security.mtls.identities`).
  package var knowsCertificates: Bool
  /// Verifies tokens; nil if none are accepted.
  package var tokens: TokenVerifier?
  /// `security.protectStatus`: metrics and the cluster's status need the scope `read`.
  package var protectStatus: Bool
  /// The routes of the API that everyone may call, whose paths have no parameters.
  package var openRoutes: Set<OpenRoute> = []
  /// Names besides those of loopback by which the node may be called.
  package var knownHosts: Set<String>
  /// Peers whose `X-Forwarded-Host` counts in place of `Host`.
  package var trustedProxies: [IPNetwork]
  private let allowedOrigins: Set<WebOrigin>
  private let allowsAllOrigins: Bool

  /// Sets the rules.
  ///
  /// `allowedOrigins` are origins such as `https://console.example.org`, or `*` for all.
  package init(
    isLoopback: Bool, allowUnauthenticated: Bool = false, keys: KeyRing = KeyRing(),
    knowsCertificates: Bool = false, tokens: TokenVerifier? = nil, protectStatus: Bool = false,
    allowedOrigins: Set<String> = [], knownHosts: Set<String> = [], trustedProxies: [IPNetwork] = []
  ) {
    self.isLoopback = isLoopback
    self.allowUnauthenticated = allowUnauthenticated
    self.keys = keys
    self.knowsCertificates = knowsCertificates
    self.tokens = tokens
    self.protectStatus = protectStatus
    self.allowedOrigins = Set(allowedOrigins.compactMap { WebOrigin($0) })
    allowsAllOrigins = allowedOrigins.contains("*")
    self.knownHosts = Set(knownHosts.map { $0.lowercased() })
    self.trustedProxies = trustedProxies
  }

  /// The node refuses everything but the open routes.
  package var isProtected: Bool { !isLoopback && !allowUnauthenticated && !authenticates }

  /// The node tells its callers apart.
  private var authenticates: Bool { !keys.isEmpty || knowsCertificates || tokens != nil }

  /// The principal of a request without credentials.
  var uncredentialed: Principal { isProtected || authenticates ? .anonymous : .everyone }

  /// Opens the routes whose declarations say so.
  mutating func open(_ declarations: [RouteDeclaration]) {
    openRoutes = Set(
      declarations.filter { $0.access.scope(protectStatus: protectStatus) == nil }.map { OpenRoute(method: $0.method, path: $0.path) })
  }

  private func isOpen(_ call: Call) -> Bool {
    openRoutes.contains(OpenRoute(method: call.method == "HEAD" ? "GET" : call.method, path: call.path))
  }

  /// The principal of a request to a route of the API or to the agents' WebSocket.
  ///
  /// A key counts before the certificate of its connection. An open route serves callers with wrong credentials as it serves those
  /// without.
  /// - Throws: The refusal of a caller whom no route but the open ones would serve.
  func principal(
    of call: Call, authorization: @autoclosure () -> [String], certificate: Principal?
  ) throws(HTTPErrorResponse) -> Principal {
    guard authenticates else { return uncredentialed }
    do throws(KeyRing.Fault) {
      return try principal(authorization(), certificate)
    } catch {
      guard isOpen(call) else { throw .unauthorized(error) }
      return .anonymous
    }
  }

  private func principal(_ authorization: [String], _ certificate: Principal?) throws(KeyRing.Fault) -> Principal {
    if authorization.isEmpty, let certificate { return certificate }
    guard let (tokens, text) = token(in: authorization) else { return try keys.principal(authorization: authorization) }
    // A key may have the form of a token.
    if KeyDigest.isKey(text), let holder = keys.holder(of: KeyDigest(of: text)) { return holder }
    do throws(TokenFault) {
      return try tokens.holder(of: text, at: .now).principal
    } catch {
      throw .token(error)
    }
  }

  /// The token in a request's header, with its verifier; nil if it has none, or if the node accepts none.
  private func token(in authorization: [String]) -> (TokenVerifier, Substring)? {
    guard let tokens, let text = KeyRing.bearer(authorization), SignedToken.isToken(text) else { return nil }
    return (tokens, text)
  }

  /// What a principal opens a lasting connection with.
  func grant(to principal: Principal, authorization: [String]) -> Grant {
    switch principal.identity {
    case .everyone, .anonymous, .certificate: return Grant(principal: principal, credential: .none)
    case .key: return Grant(principal: principal, credential: .key(KeyDigest(of: KeyRing.bearer(authorization) ?? "")))
    case .token:
      let holder = token(in: authorization).flatMap { tokens, text in try? tokens.holder(of: text, at: .now) }
      return Grant(principal: principal, credential: holder.map { .token($0.origin) } ?? .none)
    }
  }

  /// Whether a connection that was opened with a grant could be opened now; a token may have expired since.
  func stillGrants(_ scope: AccessScope, to grant: Grant) -> Bool {
    switch (grant.principal.identity, grant.credential) {
    case (.key, .key(let digest)): keys.holder(of: digest)?.may(scope) ?? false
    case (.token, .token(let origin)): tokens?.wouldAccept(origin) ?? false
    case (.certificate, _): knowsCertificates
    case (.everyone, _): uncredentialed.may(scope)
    default: false
    }
  }

  /// The refusal of a probe, or nil.
  func refusal(of probe: Probe, authorization: @autoclosure () -> [String], certificate: Principal?) -> HTTPErrorResponse? {
    guard let scope = probe.access.scope(protectStatus: protectStatus) else { return nil }
    if isProtected { return HTTPErrorResponse(Self.protectedMode) }
    guard authenticates else { return nil }
    do throws(KeyRing.Fault) {
      return HTTPErrorResponse.refusal(of: try principal(authorization(), certificate), needing: scope)
    } catch {
      return .unauthorized(error)
    }
  }

  private static let protectedMode = APIError(
    .forbidden,
    "This node is in protected mode: it listens on an address that other machines can reach, and has no way to tell its callers apart. "
      + "Configure security.authentication.apiKeys (`parallax keys generate` makes a key), set server.host to 127.0.0.1, "
      + "or set security.allowUnauthenticated: true to answer every client that can connect.")

  /// The reason to refuse the request whoever sends it, or nil.
  ///
  /// Probes and metrics are answered before this check.
  func refusal(_ call: Call) -> APIError? {
    if isProtected, !isOpen(call) { return Self.protectedMode }
    if let host = call.host, !isTrusted(host, call) {
      return APIError(
        .forbidden,
        "The Host header names neither this machine nor a configured name, as when a web page tricks a browser. "
          + "Address the node as localhost, or add the name to server.hosts.")
    }
    if let origin = call.origin, !origin.isEmpty, !isAllowed(origin: origin, host: call.host) {
      return APIError(
        .forbidden,
        "Requests from web pages of this origin are not allowed. Add the origin to server.allowedOrigins. Behind a proxy that changes Host, "
          + "have the proxy pass Host on, or send X-Forwarded-Host and name its address in server.trustedProxies.")
    }
    return nil
  }

  private func isTrusted(_ host: Authority, _ call: Call) -> Bool {
    if Self.isLoopbackName(host.name) || knownHosts.contains(host.name) { return true }
    if isLoopback { return false }
    guard call.origin?.isEmpty == false || call.isFromBrowser else { return true }
    if let origin = call.origin.flatMap({ WebOrigin($0) }), allowedOrigins.contains(origin) { return true }
    // No attacker can register an IP address, or a name without a dot, as the domain of a web page.
    return !host.name.contains(".") || IPNetwork(host.name) != nil
  }

  private func isAllowed(origin text: String, host: Authority?) -> Bool {
    if allowsAllOrigins { return true }
    guard let origin = WebOrigin(text) else { return false }
    // A page that this server delivered sends an origin with the server's own authority.
    return allowedOrigins.contains(origin) || host.map(origin.isSame(as:)) ?? false
  }

  /// The value of `Access-Control-Allow-Origin` for a page of an allowed origin, without which its browser hides the answer; nil for
  /// others.
  func allowedOrigin(of origin: String?) -> String? {
    guard let origin, !origin.isEmpty else { return nil }
    if allowsAllOrigins { return "*" }
    return WebOrigin(origin).flatMap { allowedOrigins.contains($0) ? origin : nil }
  }

  /// The name in a configured `host` or `host:port`: lower case, without port and brackets.
  package static func hostName(of host: String) -> String {
    Authority(host)?.name ?? host.lowercased()
  }

  /// Whether a name or an address can only mean this machine.
  package static func isLoopbackName(_ name: String) -> Bool {
    if name == "localhost" || name.hasSuffix(".localhost") || name == "::1" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}
