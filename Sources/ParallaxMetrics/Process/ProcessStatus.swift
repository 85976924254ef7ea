#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The contents of `/proc/self/stat`.
struct ProcessStatus: Equatable {
  let cpuSeconds: Double
  let virtualBytes: Double
  let residentBytes: Double
  /// The time from the start of the machine to that of the process, in seconds.
  let startedAfterBoot: Double

  /// - Parameters:
  ///   - stat: The line of `/proc/self/stat`.
  ///   - ticksPerSecond: The number of its time units per second.
  ///   - pageSize: The unit of its resident size, in bytes.
  init?(stat: String, ticksPerSecond: Double, pageSize: Double) {
    // The second field is the command in parentheses, which may contain any character; spaces separate the fields behind it.
    guard let commandEnd = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[commandEnd...].split(whereSeparator: \.isWhitespace)
    func number(_ field: Int) -> Double? {
      // The first element of `fields` ends field 2 of proc(5).
      fields.indices.contains(field - 2) ? Double(fields[field - 2]) : nil
    }
    guard let user = number(14), let system = number(15), let start = number(22), let virtual = number(23), let resident = number(24) else {
      return nil
    }
    cpuSeconds = (user + system) / ticksPerSecond
    virtualBytes = virtual
    residentBytes = resident * pageSize
    startedAfterBoot = start / ticksPerSecond
  }

  static func read() -> ProcessStatus? {
    SystemFile.text("/proc/self/stat").flatMap {
      ProcessStatus(stat: $0, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))), pageSize: Double(sysconf(Int32(_SC_PAGESIZE))))
    }
  }

  /// The start of the process in seconds since 1970.
  static func startTime() -> Double? {
    guard let status = read(), let boot = SystemFile.text("/proc/stat").flatMap(bootTime(stat:)) else { return nil }
    return boot + status.startedAfterBoot
  }

  /// The start of the machine from `/proc/stat`, in seconds since 1970.
  static func bootTime(stat: String) -> Double? {
    stat.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst("btime ".count)) }
  }
}

/// The file descriptors of this process.
enum ProcessFiles {
  static func open() -> Double? {
    guard let directory = opendir("/proc/self/fd") else { return nil }
    defer { closedir(directory) }
    var entries = 0
    while readdir(directory) != nil { entries += 1 }
    // Without ".", ".." and the descriptor of the directory itself.
    return Double(entries - 3)
  }

  static func limit() -> Double? {
    SystemFile.text("/proc/self/limits").flatMap(limit(limits:))
  }

  /// The soft limit from `/proc/self/limits`.
  static func limit(limits: String) -> Double? {
    let title = "Max open files"
    guard let line = limits.split(separator: "\n").first(where: { $0.hasPrefix(title) }),
      let soft = line.dropFirst(title.count).split(separator: " ").first
    else { return nil }
    return soft == "unlimited" ? .infinity : Double(soft)
  }
}
