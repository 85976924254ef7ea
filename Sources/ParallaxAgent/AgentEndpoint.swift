/// The address of a node's WebSocket.
struct AgentEndpoint: Sendable, Hashable {
  let host: String
  let port: Int
  let isTLS: Bool
  /// The path with its query.
  let target: String

  /// The value of `Host`.
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
  }

  /// Reads a URL.
  ///
  /// - Throws: ``ParallaxAgentError`` that names the URL, without credentials in it.
  init(_ text: String) throws(ParallaxAgentError) {
    func fault(_ problem: String) -> ParallaxAgentError {
      let shown = text.contains("@") ? "…@\(text.split(separator: "@").last ?? "")" : text
      return ParallaxAgentError(
        .invalidConfiguration, "the URL \(shown) \(problem); expected one such as https://parallax.example or ws://127.0.0.1:8080/ws/agent")
    }
    let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw fault("has no scheme") }
    switch parts[0].lowercased() {
    case "ws", "http": isTLS = false
    case "wss", "https": isTLS = true
    default: throw fault("has a scheme other than http, https, ws and wss")
    }
    let authority = parts[1].prefix { $0 != "/" && $0 != "?" }
    guard !authority.contains("@") else { throw fault("has credentials, which belong in the setting credential") }
    let rest = parts[1].dropFirst(authority.count)
    target = rest.isEmpty || rest == "/" ? "/ws/agent" : rest.hasPrefix("?") ? "/ws/agent" + rest : String(rest)
    var name = authority
    var portText: Substring?
    if name.hasPrefix("["), let end = name.firstIndex(of: "]") {
      let behind = name[name.index(after: end)...]
      if !behind.isEmpty {
        guard behind.hasPrefix(":") else { throw fault("has no valid host") }
        portText = behind.dropFirst()
      }
      name = name[name.index(after: name.startIndex)..<end]
    } else if let colon = name.lastIndex(of: ":") {
      portText = name[name.index(after: colon)...]
      name = name[..<colon]
    }
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw fault("has no valid host") }
    host = String(name)
    guard let portText else {
      port = isTLS ? 443 : 80
      return
    }
    guard let number = Int(portText), (1...65_535).contains(number) else { throw fault("has no valid port") }
    port = number
  }
}
