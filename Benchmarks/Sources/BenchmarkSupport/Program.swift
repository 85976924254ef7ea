package import Foundation

/// Finds programs and runs them to their end.
package enum Program {
  /// The path of a program.
  package static func named(_ name: String) throws -> URL {
    for folder in (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":") {
      let candidate = URL(filePath: String(folder)).appending(path: name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    throw BenchmarkError("\(name) is not on the PATH: Benchmarks/README.md lists the tools of the benchmarks")
  }

  /// The path of this program.
  package static func own() throws -> URL {
    guard let executable = Bundle.main.executableURL else { throw BenchmarkError("the path of this program is not known") }
    return executable
  }

  /// The output of a program, or an error if it fails.
  package static func output(
    of executable: URL, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, given in given }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw BenchmarkError("\(executable.lastPathComponent) \(arguments.joined(separator: " ")) failed with \(process.terminationStatus)")
    }
    return String(decoding: data, as: UTF8.self)
  }
}
