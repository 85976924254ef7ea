import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ServiceLifecycle
import Synchronization

/// Tells what a node knows about its own configuration, process and log, for a report about a fault.
struct NodeDebug: Sendable {
  /// The configuration in force, which a reload replaces.
  final class ConfigurationInForce: Sendable {
    private let configuration: Mutex<NodeConfiguration>

    init(_ configuration: NodeConfiguration) {
      self.configuration = Mutex(configuration)
    }

    var value: NodeConfiguration {
      get { configuration.withLock { $0 } }
      set { configuration.withLock { $0 = newValue } }
    }
  }

  let session: NodeSession
  /// The commit from which the program was built; nil if it is not known.
  let commit: String?
  let configuration: ConfigurationInForce
  /// The log of the process; nil if it belongs to another program.
  let log: NodeLogLevel?
  let clock: NodeClock

  /// The configuration without its secrets, and the process.
  func document() -> DebugDocument {
    let process = ProcessReport.read()
    return DebugDocument(
      nodeId: session.nodeID, version: ParallaxNode.version, commit: commit, at: NodeClock.wall,
      configuration: configuration.value.render(), memory: process.memory,
      threads: process.threads.map {
        DebugDocument.Thread(id: $0.id, name: $0.name, state: $0.state, processorTime: $0.processorTime)
      }, files: process.files)
  }

  /// Collects what the node logs at level `debug` and above.
  ///
  /// Ends early, with what there is, when the node stops or the caller is gone.
  /// - Parameter duration: The time from now on.
  /// - Returns: The first lines.
  /// - Throws: `APIError` if the log is another program's, or too many collect already.
  func log(for duration: Duration) async throws -> LogDocument {
    guard let log else {
      throw APIError(.notFound, "this node runs inside another program, which has the log")
    }
    let begin = clock.now.instant
    let collected = try await log.collect {
      await cancelWhenGracefulShutdown { try? await clock.sleep(for: duration) }
    }
    return LogDocument(
      nodeId: session.nodeID, duration: clock.now.instant - begin, lines: collected.lines, omitted: collected.omitted)
  }
}
