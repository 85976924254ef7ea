import ParallaxAPI

/// Who may use the API of a node that has no authentication configured.
///
/// Two rules. A node that other machines can reach is in *protected mode*: nothing but probes, metrics and the cluster's status is answered
/// until access is configured or deliberately opened. And no web page may use a browser to reach a node: a request that names a foreign
/// `Origin` is refused, and on a loopback address one whose `Host` is not this machine, which is how DNS rebinding shows.
package struct AccessGuard: Sendable, Hashable {
  /// The server listens on loopback addresses only.
  package var isLoopback: Bool
  /// `security.allowUnauthenticated`: open to everybody who can connect.
  package var allowUnauthenticated: Bool
  /// `server.allowedOrigins`: origins such as `https://console.example.org`, or `*` for all.
  package var allowedOrigins: Set<String>
  /// Names besides those of loopback by which clients may call a node bound to loopback.
  package var knownHosts: Set<String>

  package init(isLoopback: Bool, allowUnauthenticated: Bool = false, allowedOrigins: Set<String> = [], knownHosts: Set<String> = []) {
    self.isLoopback = isLoopback
    self.allowUnauthenticated = allowUnauthenticated
    self.allowedOrigins = Set(allowedOrigins.map { $0.lowercased() })
    self.knownHosts = Set(knownHosts.map { $0.lowercased() })
  }

  /// Everything but the open paths is refused.
  package var isProtected: Bool { !isLoopback && !allowUnauthenticated }

  /// Why the request is refused, or nil.
  ///
  /// Probes and metrics are answered before this is asked.
  func refusal(method: String, path: Substring, host: String?, origin: String?) -> APIError? {
    let isOpen = method == "GET" && path == "/ha/status"
    if isProtected, !isOpen {
      return APIError(
        .forbidden,
        "This node is in protected mode: it listens on an address that other machines can reach, and does not check who calls. "
          + "Set server.host to 127.0.0.1, behind a proxy that checks, "
          + "or set security.allowUnauthenticated: true to answer everybody who can connect.")
    }
    if isLoopback, let host, !isKnown(host: host) {
      return APIError(
        .forbidden,
        "The Host header names neither this machine nor a known host. Call the node as localhost, or add the name to server.hosts.")
    }
    if let origin, !isAllowed(origin: origin, host: host) {
      return APIError(.forbidden, "Requests from web pages of this origin are not allowed. Add the origin to server.allowedOrigins.")
    }
    return nil
  }

  private func isKnown(host: String) -> Bool {
    let name = Self.hostName(of: host)
    return Self.isLoopbackName(name) || knownHosts.contains(name)
  }

  private func isAllowed(origin: String, host: String?) -> Bool {
    let origin = origin.lowercased()
    if allowedOrigins.contains(origin) || allowedOrigins.contains("*") { return true }
    // A page that this very server delivered calls it by the authority that stands in its own origin.
    guard let host = host?.lowercased() else { return false }
    return origin == "http://\(host)" || origin == "https://\(host)"
  }

  /// The name in a `Host` header: lower case, without port and brackets.
  package static func hostName(of host: String) -> String {
    let host = host.lowercased()
    if host.first == "[", let end = host.firstIndex(of: "]") {
      return String(host[host.index(after: host.startIndex)..<end])
    }
    return host.firstIndex(of: ":").map { String(host[..<$0]) } ?? host
  }

  /// Whether a name or an address can only mean this machine.
  package static func isLoopbackName(_ name: String) -> Bool {
    if name == "localhost" || name.hasSuffix(".localhost") || name == "::1" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}
