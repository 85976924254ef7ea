package import Foundation

extension ParallaxdProcess {
  /// The process id of the node's witness; nil if it has none.
  package var witness: pid_t? { witnessProcess(of: process.pid) }

  /// The node's process, if ``process`` is the witness around it; nil if it has ended.
  package var node: pid_t? { childProcesses(of: process.pid).first { !$0.isZombie }?.pid }
}

/// The process id of the witness that a process has started; nil if there is none.
///
/// Its command line names the process, also after that has ended.
package func witnessProcess(of process: pid_t) -> pid_t? {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return names.compactMap { pid_t($0) }.first { candidate in
    let line = (try? Data(contentsOf: URL(filePath: "/proc/\(candidate)/cmdline"))) ?? Data()
    let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    // A shell names the program by its path.
    return words.count == 3 && words[0].hasSuffix("parallax-witness") && words[1...] == ["--node-process", "\(process)"]
  }
}

/// The children of a process.
package func childProcesses(of parent: pid_t) -> [(pid: pid_t, isZombie: Bool)] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return names.compactMap { pid_t($0) }.compactMap { candidate in
    // The name of the program, in parentheses, may have spaces: the state and the parent follow its end.
    guard let text = try? String(contentsOfFile: "/proc/\(candidate)/stat", encoding: .utf8), let end = text.lastIndex(of: ")") else {
      return nil
    }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 1, pid_t(fields[1]) == parent else { return nil }
    return (candidate, fields[0] == "Z")
  }
}
