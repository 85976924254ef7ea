import ParallaxAPI

/// Who may use the API of a node that does not check who calls.
///
/// Two rules. A node that other machines can reach is in *protected mode*: nothing but probes, metrics and the cluster's status is answered
/// until that is deliberately changed. And no web page may use a browser to reach a node: a request that names a foreign `Origin` is
/// refused, and so is one whose `Host` an attacker may have made to mean this machine, which is how DNS rebinding works. On a loopback
/// address that is every name but this machine's and the configured ones; elsewhere, for requests of browsers, every public name.
package struct AccessGuard: Sendable, Hashable {
  /// What of a request decides about it.
  struct Call {
    var method: String
    var path: Substring
    /// As sent, or as a trusted proxy forwards it; nil if there is none, as in HTTP/1.0.
    var host: Authority?
    var origin: String?
    /// The request shows signs of a browser besides `Origin`, which browsers leave out of most GET requests.
    var isFromBrowser = false
  }

  /// The server listens on loopback addresses only.
  package var isLoopback: Bool
  /// `security.allowUnauthenticated`: open to everybody who can connect.
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

  /// Everything but the open paths is refused.
  package var isProtected: Bool { !isLoopback && !allowUnauthenticated }

  /// Why the request is refused, or nil.
  ///
  /// Probes and metrics are answered before this is asked.
  func refusal(_ call: Call) -> APIError? {
    let isOpen = (call.method == "GET" || call.method == "HEAD") && call.path == "/ha/status"
    if isProtected, !isOpen {
      return APIError(
        .forbidden,
        "This node is in protected mode: it listens on an address that other machines can reach, and does not check who calls. "
          + "Set server.host to 127.0.0.1, behind a proxy that checks, "
          + "or set security.allowUnauthenticated: true to answer everybody who can connect.")
    }
    if let host = call.host, !isTrusted(host, call) {
      return APIError(
        .forbidden,
        "The Host header names neither this machine nor a configured name, as when a web page tricks a browser. "
          + "Call the node as localhost, or add the name to server.hosts.")
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
    // Nobody can make a browser take an address, or a name without a dot, for the name of a page of theirs.
    return !host.name.contains(".") || IPNetwork(host.name) != nil
  }

  private func isAllowed(origin text: String, host: Authority?) -> Bool {
    if allowsAllOrigins { return true }
    guard let origin = WebOrigin(text) else { return false }
    // A page that this very server delivered calls it by the authority that stands in its own origin.
    return allowedOrigins.contains(origin) || host.map(origin.isSame(as:)) ?? false
  }

  /// What `Access-Control-Allow-Origin` says to a page of a configured origin, so that its browser shows it the answer; nil for others.
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
