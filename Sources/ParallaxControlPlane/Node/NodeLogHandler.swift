package import Logging
import ParallaxAPI

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes log lines to standard error, as text or JSON.
///
/// The level is that of the process unless a logger has its own.
package struct NodeLogHandler: LogHandler {
  package var logLevel: Logger.Level {
    get { ownLevel ?? level.needed }
    set { ownLevel = newValue }
  }

  private let level: NodeLogLevel
  private var ownLevel: Logger.Level?
  package var metadata: Logger.Metadata = [:]
  private let format: NodeConfiguration.Logging.Format

  package init(level: NodeLogLevel, format: NodeConfiguration.Logging.Format) {
    self.level = level
    self.format = format
  }

  /// The configured format; by default text on a terminal and JSON elsewhere.
  package static func format(_ configured: NodeConfiguration.Logging.Format?) -> NodeConfiguration.Logging.Format {
    configured ?? (isatty(STDERR_FILENO) == 1 ? .text : .json)
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var all = metadata
    if let own = event.metadata { all.merge(own) { _, last in last } }
    let line = format == .json ? json(event, all) : text(event, all)
    level.offer(line, of: event.level)
    guard event.level >= ownLevel ?? level.value else { return }
    // One write per line keeps the lines of several threads apart.
    _ = line.utf8CString.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
  }

  private func json(_ event: LogEvent, _ metadata: Logger.Metadata) -> String {
    var members: [String: JSONValue] = metadata.mapValues { .string("\($0)") }
    members["time"] = .string(NodeClock.wall.description)
    members["level"] = .string(event.level.rawValue)
    members["message"] = .string("\(event.message)")
    return ((try? JSONValue.object(members).jsonText) ?? "") + "\n"
  }

  private func text(_ event: LogEvent, _ metadata: Logger.Metadata) -> String {
    let pairs = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    return "\(NodeClock.wall) \(event.level.rawValue) \(event.message)\(pairs)\n"
  }
}
