import Logging
import ParallaxServer
import ParallaxText

/// Why an agent has left, for the log.
struct AgentDeparture: Sendable, Hashable {
  private static let detailLimit = 200

  /// One of a few words, which `docs/operations/log.md` lists.
  var reason: String
  /// The close code, if a Close frame was sent or received.
  var code: WebSocketCloseCode?
  /// The text of the Close frame, or the error of the connection.
  var detail: String?

  /// The departure of a session that the node ends, or that ends with a `disconnect`.
  init(_ ending: AgentSessionMachine.Ending, isDraining: Bool) {
    switch ending {
    case .left: reason = isDraining ? "drained" : "goodbye"
    case .silent: reason = "silent"
    case .replaced: reason = "replaced"
    case .tooManyMessages: reason = "too many messages"
    case .notRegistered, .refused, .idInUse: reason = "refused"
    }
  }

  /// The departure of a session whose connection has ended.
  init(_ end: AgentCloseReason) {
    switch end {
    case .closedByAgent(let code, let text): (reason, self.code, detail) = ("closed by the agent", code, text)
    case .closedByServer(let code, let text): (reason, self.code, detail) = ("closed by the node", code, text)
    case .protocolViolation(let code, let text):
      (reason, self.code, detail) = (code == .messageTooBig ? "oversized message" : "protocol error", code, text)
    case .slowReader(let bytes): (reason, detail) = ("slow reader", "\(bytes) bytes waited")
    case .connectionLost(let text): (reason, detail) = ("connection lost", text)
    }
  }

  var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = ["reason": "\(reason)"]
    if let code { metadata["code"] = "\(code.rawValue)" }
    if let detail, !detail.isEmpty { metadata["detail"] = "\(OneLine.excerpt(of: detail, Self.detailLimit))" }
    return metadata
  }
}
