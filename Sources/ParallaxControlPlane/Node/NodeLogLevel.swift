package import Logging
import ParallaxAPI
import Synchronization

/// The log level of a process, which a reload changes, and what is collected of its log.
package final class NodeLogLevel: Sendable {
  /// What one caller collects.
  private struct Collection {
    var lines: [String] = []
    var size = 0
    var omitted = 0
  }

  private struct State {
    var level: Logger.Level
    var collections: [Int: Collection] = [:]
    var lastCollection = 0
  }

  /// The most collections at the same time, and the bounds of each.
  private static let maxCollections = 4
  private static let maxLines = 5_000
  private static let maxSize = 1 << 20
  /// The level at which collections begin.
  private static let collected = Logger.Level.debug

  private let state: Mutex<State>

  package init(_ level: Logger.Level) {
    state = Mutex(State(level: level))
  }

  /// The level of what is written to the log.
  package var value: Logger.Level {
    get { state.withLock { $0.level } }
    set { state.withLock { $0.level = newValue } }
  }

  /// The level from which somebody needs the events: the log, or a collection.
  var needed: Logger.Level {
    state.withLock { $0.collections.isEmpty ? $0.level : min($0.level, Self.collected) }
  }

  /// Adds an event's line to all collections.
  func offer(_ line: String, of level: Logger.Level) {
    guard level >= Self.collected else { return }
    state.withLock { state in
      for id in state.collections.keys {
        let isFull = state.collections[id].map { $0.lines.count >= Self.maxLines || $0.size + line.utf8.count > Self.maxSize } ?? true
        if isFull {
          state.collections[id]?.omitted += 1
        } else {
          state.collections[id]?.lines.append(line)
          state.collections[id]?.size += line.utf8.count
        }
      }
    }
  }

  /// Collects what is logged at level `debug` and above while the body runs, whatever the level of the log is; the log itself stays as it
  /// is.
  ///
  /// - Parameter body: What takes the time of the collection.
  /// - Returns: The first lines, within bounds, and the number of the others.
  /// - Throws: `APIError` if too many collect already; else what the body throws.
  func collect(_ body: () async throws -> Void) async throws -> (lines: [String], omitted: Int) {
    let id = try state.withLock { state in
      guard state.collections.count < Self.maxCollections else {
        throw APIError(.rateLimited, "\(Self.maxCollections) callers collect the log of this node already; ask again when they are done")
      }
      state.lastCollection += 1
      state.collections[state.lastCollection] = Collection()
      return state.lastCollection
    }
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body())
    } catch {
      outcome = .failure(error)
    }
    let collection = state.withLock { $0.collections.removeValue(forKey: id) }
    try outcome.get()
    return (collection?.lines ?? [], collection?.omitted ?? 0)
  }
}
