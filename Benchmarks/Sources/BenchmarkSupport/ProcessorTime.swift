import Foundation

/// The user and system time of a process since its start.
package enum ProcessorTime {
  /// Of any process, from `/proc/PID/stat`, whose clock ticks are 10 ms.
  package static func of(pid: Int32) throws -> Duration {
    let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    // The command's name in parentheses may have spaces; utime and stime are the 12th and 13th fields after it.
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    guard fields.count > 13, let user = Int(fields[12]), let system = Int(fields[13]) else {
      throw BenchmarkError("/proc/\(pid)/stat has an unknown format: \(text)")
    }
    return .milliseconds((user + system) * 10)
  }
}
