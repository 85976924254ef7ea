/// The body of `GET /api/debug`: the configuration and the process of a node, for a report about a fault.
public struct DebugDocument: Sendable, Hashable, Codable {
  /// A thread of the process.
  public struct Thread: Sendable, Hashable, Codable {
    /// The id that the kernel has given it.
    public var id: Int
    /// Its name, at most 15 bytes; the program's name unless the thread has one of its own.
    public var name: String
    /// What it does, as in proc(5): `R` runs, `S` sleeps, `D` waits for a device.
    public var state: String
    /// The processor time that it has used.
    public var processorTime: WireDuration

    package init(id: Int, name: String, state: String, processorTime: Duration) {
      self.id = id
      self.name = name
      self.state = state
      self.processorTime = WireDuration(processorTime)
    }
  }

  /// The id of the node.
  public var nodeId: String
  /// The version of the node.
  public var version: String
  /// The commit from which its program was built; nil if that is not known.
  public var commit: String?
  /// The time, by the clock of the node's machine.
  public var at: Timestamp
  /// The configuration in force as YAML, with `***` in place of every secret.
  public var configuration: String
  /// Kinds of memory in bytes, by their names in proc(5), such as `VmRSS`, and `limit`, that of the process's control group; empty where
  /// the system does not tell.
  public var memory: [String: Int]
  /// The threads, by id; empty where the system does not tell.
  public var threads: [Thread]
  /// The number of open files of each kind, such as `socket`; empty where the system does not tell.
  public var files: [String: Int]

  package init(
    nodeId: String, version: String, commit: String?, at: Timestamp, configuration: String, memory: [String: Int], threads: [Thread],
    files: [String: Int]
  ) {
    self.nodeId = nodeId
    self.version = version
    self.commit = commit
    self.at = at
    self.configuration = configuration
    self.memory = memory
    self.threads = threads
    self.files = files
  }
}

/// The body of `GET /api/debug/log`: what a node logged at level `debug` and above while it answered.
public struct LogDocument: Sendable, Hashable, Codable {
  /// The id of the node.
  public var nodeId: String
  /// How long the node collected.
  public var duration: WireDuration
  /// The first lines, in the format of the node's log; at most 5,000, and a mebibyte together.
  public var lines: [String]
  /// The number of lines beyond these bounds.
  public var omitted: Int

  package init(nodeId: String, duration: Duration, lines: [String], omitted: Int) {
    self.nodeId = nodeId
    self.duration = WireDuration(duration)
    self.lines = lines
    self.omitted = omitted
  }
}
