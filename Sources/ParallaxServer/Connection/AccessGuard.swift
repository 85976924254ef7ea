import ParallaxAPI

/// Decides which requests may use the API of a node that does not authenticate its callers.
///
/// Two rules apply. A node that other machines can reach is in *protected mode*: it answers only probes, metrics and the cluster's status
/// until `security.allowUnauthenticated` is set. And no web page may reach a node through a browser: the guard refuses a request with a
/// foreign `Origin`, and a request whose `Host` an attacker may have pointed at this machine (DNS rebinding). A node on a loopback address
/// accepts the names of this machine and the configured names only; any other node refuses public names in requests of browsers.
package struct AccessGuard: Sendable, Hashable {
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

  /// The server listens on loopback addresses only.
  package var isLoopback: Bool
  /// `security.allowUnauthenticated`: every client that can connect may use the API.
  package var allowUnauthenticated: Bool
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
    isLoopback: Bool, allowUnauthenticated: Bool = false, allowedOrigins: Set<String> = [], knownHosts: Set<String> = [],
    trustedProxies: [IPNetwork] = []
  ) {
    self.isLoopback = isLoopback
    self.allowUnauthenticated = allowUnauthenticated
    self.allowedOrigins = Set(allowedOrigins.compactMap { WebOrigin($0) })
    allowsAllOrigins = allowedOrigins.contains("*")
    self.knownHosts = Set(knownHosts.map { $0.lowercased() })
    self.trustedProxies = trustedProxies
  }

  /// The node refuses everything but the open paths.
  package var isProtected: Bool { !isLoopback && !allowUnauthenticated }

  /// The reason to refuse the request, or nil.
  ///
  /// Probes and metrics are answered before this check.
  func refusal(_ call: Call) -> APIError? {
    let isOpen = (call.method == "GET" || call.method == "HEAD") && call.path == "/ha/status"
    if isProtected, !isOpen {
      return APIError(
        .forbidden,
        "This node is in protected mode: it listens on an address that other machines can reach, and does not authenticate its callers. "
          + "Set server.host to 127.0.0.1, behind a proxy that authenticates, "
          + "or set security.allowUnauthenticated: true to answer every client that can connect.")
    }
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
