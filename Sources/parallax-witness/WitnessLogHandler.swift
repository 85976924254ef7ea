import Logging
import ParallaxAPI

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Writes log lines to standard error in the form of the node's own.
struct WitnessLogHandler: LogHandler {
  let isJSON: Bool
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  init(isJSON: Bool) {
    self.isJSON = isJSON
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, last in last }
    let time = Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
    ErrorOutput.write(isJSON ? json(event, all, time) : text(event, all, time))
  }

  private func json(_ event: LogEvent, _ metadata: Logger.Metadata, _ time: Timestamp) -> String {
    var members: [String: JSONValue] = metadata.mapValues { .string("\($0)") }
    members["time"] = .string(time.description)
    members["level"] = .string(event.level.rawValue)
    members["message"] = .string("\(event.message)")
    return ((try? JSON.text(JSONValue.object(members))) ?? "") + "\n"
  }

  private func text(_ event: LogEvent, _ metadata: Logger.Metadata, _ time: Timestamp) -> String {
    let pairs = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    return "\(time) \(event.level.rawValue) \(event.message)\(pairs)\n"
  }
}
