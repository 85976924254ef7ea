import ParallaxAPI
import Synchronization

/// Remembers which seconds this process has entered in the index of buckets.
///
/// The entry of a minute is repeated once in each second with a creation: an entry that a failing Redis loses is restored before the
/// executions of a whole minute are missing from every list.
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
