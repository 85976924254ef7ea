import Foundation

/// The observations of an ``EnduranceLoad``.
struct EnduranceReport: Sendable, CustomStringConvertible {
  var commands = 0
  /// Replies that no server can have sent for the command.
  var wrongReplies: [String] = []
  /// The number of keys that have lost an acknowledged write.
  var lostWrites = 0
  /// The failures by code.
  var errors: [String: Int] = [:]
  /// The longest wait of a worker for its next reply, per event.
  var silences: [(event: String, longest: Duration)] = []
  /// The memory of this process, after each 50,000 commands.
  var residentMegabytes: [Int] = []

  var description: String {
    let events = silences.map { "\($0.event) \(Int($0.longest / .milliseconds(1))) ms" }.joined(separator: ", ")
    return """
      \(commands) commands, \(wrongReplies.count) wrong replies, \(lostWrites) lost writes, failures \(errors), longest wait: \(events); \
      resident MB \(residentMegabytes)
      """
  }
}

/// A key with a single writer, whose values name it: the worker knows the possible ones.
struct OwnKey {
  enum Reading {
    case expected
    /// A value older than the last acknowledged one.
    case lost
    case wrong(String)
  }

  let name: String
  /// The last sent value, and the last acknowledged one.
  private var sent = 0
  private var kept = 0

  init(worker: Int, number: Int) {
    name = "key:\(worker):\(number)"
  }

  /// The next value to write.
  mutating func begin() -> String {
    sent += 1
    return "\(name)=\(sent)"
  }

  mutating func acknowledged() {
    kept = sent
  }

  mutating func read(_ text: String?) -> Reading {
    guard let text else {
      defer { kept = 0 }
      return kept == 0 ? .expected : .lost
    }
    guard text.hasPrefix("\(name)="), let value = Int(text.dropFirst(name.count + 1)), value <= sent else { return .wrong(text) }
    defer { kept = value }
    return value >= kept ? .expected : .lost
  }
}

/// A counter with a single writer.
struct OwnCounter {
  enum Reading {
    case expected, lost, wrong
  }

  private var sent = 0
  private var last = 0

  mutating func begin() {
    sent += 1
  }

  mutating func read(_ value: Int) -> Reading {
    defer { last = value }
    if value > sent { return .wrong }
    return value > last ? .expected : .lost
  }
}

enum ProcessMemory {
  /// The resident memory of this process.
  static var residentMegabytes: Int {
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").dropFirst().first
    return (pages.flatMap { Int($0) } ?? 0) * 4_096 / 1_000_000
  }
}
