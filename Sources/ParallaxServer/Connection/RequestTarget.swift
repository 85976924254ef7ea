import NIOHTTP1
import ParallaxText

/// Normalizes a request's target, so that each path has one spelling (RFC 9112, section 3.2; RFC 3986, section 6.2.2).
enum RequestTarget {
  /// The fault of a target or a `Host` header.
  struct Fault: Error, Equatable {
    let message: String
  }

  /// Rewrites the target of a head to `/path?query`, and its `Host` header to the effective authority; returns that authority.
  ///
  /// The authority of an absolute target takes precedence over `Host`. Escapes of unreserved characters are decoded.
  static func normalize(_ head: inout HTTPRequestHead) throws(Fault) -> Authority? {
    let hosts = head.headers["host"]
    guard hosts.count == 1 || (hosts.isEmpty && head.isHTTP10) else {
      throw Fault(message: "expected one Host header, found \(hosts.count)")
    }
    var authority: Authority?
    if let host = hosts.first {
      let name = withoutSpace(host)
      if name.utf8.count != host.utf8.count { head.headers.replaceOrAdd(name: "Host", value: String(name)) }
      authority = Authority(name)
      if authority == nil { throw Fault(message: "Host: expected a name or an address, with or without a port") }
    }
    if !head.uri.hasPrefix("/") {
      let (absolute, rest) = try split(head.uri, method: head.method)
      if let absolute {
        authority = Authority(absolute)
        guard authority?.name.isEmpty == false else { throw Fault(message: "the request target has no valid host") }
        head.headers.replaceOrAdd(name: "Host", value: String(absolute))
      }
      head.uri = String(rest)
    }
    if head.uri.utf8.contains(UInt8(ascii: "%")) { head.uri = try unescaped(head.uri) }
    return authority
  }

  /// Removes the white space around a header's value; the parser leaves tabs there.
  private static func withoutSpace(_ value: String) -> Substring {
    var rest = value[...]
    while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
    while rest.last == " " || rest.last == "\t" { rest.removeLast() }
    return rest
  }

  /// The authority and the rest of a target that does not begin with a slash.
  private static func split(_ uri: String, method: HTTPMethod) throws(Fault) -> (authority: Substring?, rest: String) {
    if uri == "*", method == .OPTIONS { return (nil, "/*") }
    guard let scheme = ["http://", "https://"].first(where: { uri.lowercased().hasPrefix($0) }) else {
      throw Fault(message: "expected a request target such as /path or http://host/path")
    }
    let afterScheme = uri.dropFirst(scheme.count)
    let end = afterScheme.firstIndex { $0 == "/" || $0 == "?" } ?? afterScheme.endIndex
    let rest = String(afterScheme[end...])
    return (afterScheme[..<end], rest.hasPrefix("/") ? rest : "/" + rest)
  }

  /// Normalizes the path; the query stays as it is.
  private static func unescaped(_ uri: String) throws(Fault) -> String {
    let end = uri.utf8.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex
    do {
      return try PercentEncoding.normalize(uri[..<end]) + uri[end...]
    } catch {
      throw Fault(message: "the path is not percent-encoded: a % without two hexadecimal digits")
    }
  }
}
