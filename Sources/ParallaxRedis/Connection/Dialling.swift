import NIOCore
import Synchronization

/// The sockets of an attempt to connect, to be closed when it is given up: connecting itself knows no cancellation.
final class Dialling: Sendable {
  private struct State {
    var channels: [any Channel] = []
    var isCancelled = false
  }

  private let state = Mutex(State())

  /// Adds a socket; false if the attempt has been given up.
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
