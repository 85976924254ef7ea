import ParallaxAPI
import Synchronization

/// Remembers which minutes this process has entered in the index of buckets.
///
/// An entry is repeated once in a second in which something is created, rather than once in a minute: an entry that a failing Redis lost is
/// back before the executions of a whole minute are out of every list.
final class BucketRegistrations: Sendable {
  private static let capacity = 64

  private let seconds = Mutex<Set<Int64>>([])

  func isRegistered(_ instant: Timestamp) -> Bool {
    seconds.withLock { $0.contains(instant.milliseconds / 1_000) }
  }

  func didRegister(_ instant: Timestamp) {
    seconds.withLock { seconds in
      if seconds.count == Self.capacity { seconds.removeAll() }
      seconds.insert(instant.milliseconds / 1_000)
    }
  }
}
