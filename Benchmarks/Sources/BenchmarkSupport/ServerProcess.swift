package import Foundation

/// A server that the benchmark starts and stops, in a folder of its own.
package struct ServerProcess: Sendable {
  private let process: Process
  private let folder: URL

  package init(_ executable: URL, _ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "parallax-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    let log = folder.appending(path: "log")
    try Data().write(to: log)
    let output = try FileHandle(forWritingTo: log)
    process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PARALLAX_") }
      .merging(environment) { _, given in given }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
  }

  package var pid: Int32 { process.processIdentifier }

  package var log: String { (try? String(contentsOf: folder.appending(path: "log"), encoding: .utf8)) ?? "" }

  /// Waits for a condition in the log or elsewhere.
  package func wait<Value>(for what: String, _ found: () throws -> Value?) async throws -> Value {
    for _ in 0..<1_000 {
      if let value = try found() { return value }
      guard process.isRunning else { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw BenchmarkError("no \(what) from \(process.executableURL?.lastPathComponent ?? "server"):\n\(log)")
  }

  package func stop() {
    // SIGKILL, because a child of a Dispatch thread inherits its signal mask, which blocks SIGTERM; the server has no data to save.
    kill(pid, SIGKILL)
    while process.isRunning { usleep(1_000) }
    try? FileManager.default.removeItem(at: folder)
  }
}
