#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The memory, the threads and the open files of this process, from `/proc`; empty on systems without it.
package struct ProcessReport: Sendable, Equatable {
  /// A thread of the process.
  package struct Thread: Sendable, Equatable {
    package var id: Int
    package var name: String
    /// The letter of proc(5), such as `S` for sleeping.
    package var state: String
    package var processorTime: Duration
  }

  /// The most threads and open files that a report looks at.
  private static let limit = 4_096

  /// Bytes, by the names of proc(5), and `limit`, that of the control group.
  package var memory: [String: Int] = [:]
  package var threads: [Thread] = []
  /// The number of open files of each kind.
  package var files: [String: Int] = [:]

  package init() {}

  /// Reads the present state.
  package static func read() -> ProcessReport {
    var report = ProcessReport()
    report.memory = memory(status: SystemFile.text("/proc/self/status") ?? "")
    report.memory["limit"] = SystemFile.text("/sys/fs/cgroup/memory.max").flatMap { Int($0.prefix { $0 != "\n" }) }
    let ticks = sysconf(Int32(_SC_CLK_TCK))
    for name in SystemFile.names(in: "/proc/self/task", limit: limit) {
      // A thread may end while the list is read.
      guard let id = Int(name), let stat = SystemFile.text("/proc/self/task/\(name)/stat") else { continue }
      if let thread = Thread(id: id, stat: stat, ticksPerSecond: ticks) { report.threads.append(thread) }
    }
    report.threads.sort { $0.id < $1.id }
    for name in SystemFile.names(in: "/proc/self/fd", limit: limit) {
      if let target = SystemFile.target("/proc/self/fd/\(name)") { report.files[kind(ofFile: target), default: 0] += 1 }
    }
    return report
  }

  /// The sizes in the text of `/proc/self/status`, in bytes.
  static func memory(status: String) -> [String: Int] {
    var memory: [String: Int] = [:]
    for line in status.split(separator: "\n") {
      let words = line.split { $0 == ":" || $0.isWhitespace }
      guard words.count == 3, words[2] == "kB", let size = Int(words[1]) else { continue }
      memory[String(words[0])] = size * 1_024
    }
    return memory
  }

  /// The kind of an open file, from the target of its link: `file`, or a word such as `socket`, `pipe`, `eventpoll`.
  static func kind(ofFile target: String) -> String {
    guard !target.hasPrefix("/") else { return "file" }
    let name = target.hasPrefix("anon_inode:") ? target.dropFirst("anon_inode:".count) : target.prefix { $0 != ":" }
    return String(name.filter { $0 != "[" && $0 != "]" })
  }
}

extension ProcessReport.Thread {
  /// Reads a line of `/proc/self/task/ID/stat`; nil if it has another form.
  init?(id: Int, stat: String, ticksPerSecond: Int) {
    // The name in parentheses may contain any character; spaces separate the fields behind it.
    guard let begin = stat.firstIndex(of: "("), let end = stat.lastIndex(of: ")"), begin < end else { return nil }
    let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
    // Fields 3, 14 and 15 of proc(5).
    guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]), ticksPerSecond > 0 else { return nil }
    self.init(
      id: id, name: String(stat[stat.index(after: begin)..<end]), state: String(fields[0]),
      processorTime: .milliseconds((user + system) * 1_000 / ticksPerSecond))
  }
}
