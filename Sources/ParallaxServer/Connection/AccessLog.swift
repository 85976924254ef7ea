import Logging
import NIOCore
import NIOHTTP1
import ParallaxAPI

/// The log of requests, one line each behind its response (`logging.accessLog`, `logging.accessSample`).
///
/// Probes and metrics are left out, whose callers come every few seconds. A line has no query, no header and no body, which may be secret.
package struct AccessLog: Sendable, Hashable {
  /// The requests that are logged.
  package enum Selection: String, Sendable, CaseIterable {
    case off
    /// Those that are answered with 400 or more, or not to the end.
    case failed
    case all
  }

  package var selection: Selection
  /// Of the requests that have not failed, one of this many is logged.
  package var sample: Int

  package init(_ selection: Selection = .off, sample: Int = 1) {
    self.selection = selection
    self.sample = sample
  }

  /// Whether a request with this outcome is logged; `lot` is a random number.
  func includes(isFailed: Bool, lot: UInt32) -> Bool {
    switch selection {
    case .off: false
    case .failed: isFailed
    case .all: isFailed || lot % UInt32(clamping: max(1, sample)) == 0
    }
  }
}

/// A request that may be logged when its response ends.
struct AccessLogEntry {
  private static let longestPath = 256

  private let method: String
  private let path: String
  private let principal: Principal.Identity?
  private let address: String
  private let began: NIODeadline
  var status: Int?
  var requestID: String?
  var bytes = 0

  /// Makes an entry; without a head for what cannot be read as a request.
  init(_ head: HTTPRequestHead?, principal: Principal.Identity?, address: String, began: NIODeadline) {
    method = head?.method.rawValue ?? "-"
    path = head.map { String($0.path.prefix(Self.longestPath)) } ?? "-"
    self.principal = principal
    self.address = address
    self.began = began
  }

  /// Logs the request, if its outcome is of the selected ones; `isComplete` if the response was written to its end.
  func log(_ rules: AccessLog, isComplete: Bool, at now: NIODeadline, to logger: Logger) {
    let isFailed = !isComplete || (status ?? 0) >= 400
    guard rules.includes(isFailed: isFailed, lot: UInt32.random(in: 0 ... .max)) else { return }
    let microseconds = max(0, (now - began).nanoseconds / 1_000)
    var metadata: Logger.Metadata = [
      "method": "\(method)", "path": "\(path)", "status": "\(status.map(String.init) ?? "none")", "bytes": "\(bytes)",
      "duration": "\(microseconds / 1_000).\(String(microseconds % 1_000 + 1_000).dropFirst())ms", "address": "\(address)",
    ]
    if let principal { metadata["principal"] = "\(principal)" }
    if let requestID { metadata["requestId"] = "\(requestID)" }
    if !isComplete { metadata["ended"] = "early" }
    logger.info("request", metadata: metadata)
  }
}

extension Disposition {
  /// The caller as far as it is known; nil for a refused one.
  fileprivate var principal: Principal.Identity? {
    switch self {
    case .route(let caller): caller.principal.identity
    case .own(.handshake(let grant)): grant.principal.identity
    case .own: nil
    }
  }

  fileprivate var isProbe: Bool {
    if case .own(.probe) = self { true } else { false }
  }
}

extension FrontContext {
  /// The entry of a request in the access log; nil if it cannot be logged.
  func accessLogEntry(
    _ head: HTTPRequestHead, _ disposition: Disposition, from peer: SocketAddress?, began: NIODeadline
  ) -> AccessLogEntry? {
    guard policy.accessLog.selection != .off, !disposition.isProbe else { return nil }
    return AccessLogEntry(head, principal: disposition.principal, address: address(of: head, from: peer), began: began)
  }
}
