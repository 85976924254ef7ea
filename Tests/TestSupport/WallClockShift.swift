import Foundation

/// Shifts the wall clocks of running processes, but no other clock.
package struct WallClockShift: Sendable {
  private let folder: URL

  /// Builds the library that processes preload, passes it to the body, and removes it.
  package static func with<Result>(_ body: (WallClockShift) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wall-clock-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = ProjectLayout.root.appending(path: "Tests/TestSupport/Preload/shift-wall-clock.c")
    let library = folder.appending(path: "shift-wall-clock.so")
    let built = try await run(
      ProjectLayout.program("gcc"), ["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library.path, source.path, "-ldl"])
    guard built.exit == .code(0) else { throw ProcessFailure("the preload was not built: \(built.errorOutput)") }
    return try await body(WallClockShift(folder: folder))
  }

  /// The variables of a process with a shiftable clock, identified by `name`.
  package func variables(_ name: String) -> [String: String] {
    ["LD_PRELOAD": folder.appending(path: "shift-wall-clock.so").path, "WALL_CLOCK_SHIFT": file(name).path]
  }

  /// Sets the shift of a process's wall clock against the true one.
  package func shift(_ name: String, by duration: Duration) throws {
    try Data("\(duration.components.seconds)".utf8).write(to: file(name), options: .atomic)
  }

  private func file(_ name: String) -> URL { folder.appending(path: name) }
}
