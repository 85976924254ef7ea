package import Foundation

/// A group of processes whose memory the kernel bounds: beyond the limit it kills the largest of them.
package struct MemoryGroup: Sendable {
  private let folder: URL

  /// Whether this process may make such groups; a container usually may not.
  package static var isAvailable: Bool {
    guard let group = try? MemoryGroup(bytes: 1 << 30) else { return false }
    group.remove()
    return true
  }

  /// Makes a group without processes, below the one of this process; ``remove()`` removes it.
  ///
  /// - Parameter bytes: How much memory the processes may take from now on; what they have already does not count.
  /// - Throws: ``ProcessFailure`` if this process may not.
  package init(bytes: Int) throws {
    let mounts = [("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("", "/sys/fs/cgroup", "memory.max")]
    for (controller, mount, limit) in mounts {
      guard let own = Self.ownGroup(controller) else { continue }
      let folder = URL(filePath: mount + own).appending(path: "parallax-test-\(UUID().uuidString)")
      guard mkdir(folder.path, 0o755) == 0 else { continue }
      if (try? Self.write("\(bytes)", to: folder.appending(path: limit))) != nil {
        self.folder = folder
        // Memory must not go to the swap instead; where there is none, neither are these files.
        try? Self.write("\(bytes)", to: folder.appending(path: "memory.memsw.limit_in_bytes"))
        try? Self.write("0", to: folder.appending(path: "memory.swap.max"))
        return
      }
      rmdir(folder.path)
    }
    throw ProcessFailure("this process may not make groups of processes with a limit of memory")
  }

  /// Moves a process into the group.
  package func add(_ process: pid_t) throws {
    try Self.write("\(process)", to: folder.appending(path: "cgroup.procs"))
  }

  /// How many processes of the group the kernel has killed.
  package var kills: Int {
    for name in ["memory.oom_control", "memory.events"] {
      let lines = (try? String(contentsOf: folder.appending(path: name), encoding: .utf8))?.split(separator: "\n") ?? []
      for line in lines where line.hasPrefix("oom_kill ") { return Int(line.dropFirst("oom_kill ".count)) ?? 0 }
    }
    return 0
  }

  /// Removes the group, whose processes must have ended.
  package func remove() { rmdir(folder.path) }

  /// The path of this process' group for a controller; an empty name is the unified hierarchy.
  private static func ownGroup(_ controller: String) -> String? {
    let lines = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8))?.split(separator: "\n") ?? []
    for line in lines {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      if parts.count == 3, parts[1].split(separator: ",", omittingEmptySubsequences: false).contains(Substring(controller)) {
        return String(parts[2])
      }
    }
    return nil
  }

  /// Files of the kernel take one write, and no other file in their place.
  private static func write(_ text: String, to file: URL) throws {
    let handle = try FileHandle(forWritingTo: file)
    defer { try? handle.close() }
    try handle.write(contentsOf: Data(text.utf8))
  }
}
