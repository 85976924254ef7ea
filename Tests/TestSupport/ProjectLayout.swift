package import Foundation

/// The locations of the built executables, the examples and the Python environment of the test tools.
package enum ProjectLayout {
  /// The folder of Package.swift.
  package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The interpreter from `Scripts/install-test-tools.sh`, with the modules that the Python agent needs.
  package static let python = root.appending(path: ".build/test-venv/bin/python")

  /// The example agent.
  package static let pythonAgent = root.appending(path: "Examples/python-agent/agent.py")

  /// A built executable of this package, beside the test bundle in every scratch path and configuration.
  package static func executable(_ name: String) throws -> URL {
    var folder = URL(filePath: CommandLine.arguments[0]).standardizedFileURL.deletingLastPathComponent()
    for _ in 0..<4 {
      let candidate = folder.appending(path: name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
      folder = folder.deletingLastPathComponent()
    }
    throw ProcessFailure("\(name) is not beside the test bundle \(CommandLine.arguments[0]): build with `swift build --build-tests` first")
  }

  /// A program of the system.
  package static func program(_ name: String) throws -> URL {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    for folder in path.split(separator: ":") {
      let candidate = URL(filePath: String(folder)).appending(path: name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    throw ProcessFailure("\(name) is not on the PATH: run Scripts/install-test-tools.sh")
  }
}

/// A process that could not be started or did not behave.
package struct ProcessFailure: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
