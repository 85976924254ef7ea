import NIOCore
import Synchronization

/// The sockets of an attempt to connect, closed by its cancellation: SwiftNIO's bootstrap cannot be cancelled.
final class PendingSockets: Sendable {
  private struct State {
    var channels: [any Channel] = []
    var isCancelled = false
  }

  private let state = Mutex(State())

  /// Adds a socket; false if the attempt is cancelled.
  func add(_ channel: any Channel) -> Bool {
    state.withLock { state in
      if !state.isCancelled { state.channels.append(channel) }
      return !state.isCancelled
    }
  }

  func cancel() {
    let channels = state.withLock { state in
      state.isCancelled = true
      return state.channels
    }
    for channel in channels { channel.close(promise: nil) }
  }
}
