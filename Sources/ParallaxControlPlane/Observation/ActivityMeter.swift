import ParallaxAPI
import ParallaxState
import Synchronization

/// Counts the executions that end, and measures their times, from one sample to the next.
final class ActivityMeter: Sendable {
  private struct State {
    var counts: [ExecutionStatus: Int] = [:]
    var times = LatencyHistogram()
  }

  private let state = Mutex(State())

  /// Counts an execution that has ended.
  func ended(_ execution: Execution) {
    state.withLock { state in
      state.counts[execution.status, default: 0] += 1
      guard execution.status == .completed, let completedAt = execution.completedAt else { return }
      state.times.record(completedAt - execution.createdAt)
    }
  }

  /// Returns what was counted since the last call, beside the present numbers of executions and agents.
  func take(at instant: Timestamp, running: Int, waiting: Int, agents: Int) -> ActivitySample {
    let former = state.withLock { state in
      defer { state = State() }
      return state
    }
    return ActivitySample(
      at: instant, completed: former.counts[.completed, default: 0], failed: former.counts[.failed, default: 0],
      timedOut: former.counts[.timedOut, default: 0], cancelled: former.counts[.cancelled, default: 0],
      p50: former.times.quantile(0.5), p99: former.times.quantile(0.99), running: running, waiting: waiting, agents: agents)
  }
}

/// A histogram with eight buckets for each doubling, so that a quantile is within 7 % of the true value.
///
/// The buckets are those of HdrHistogram with three significant bits.
struct LatencyHistogram: Sendable {
  private static let subBits = 3
  private static let greatest = UInt64(1) << 40

  private var buckets: [Int: Int] = [:]
  private var count = 0

  /// Records a time; one below zero counts as zero.
  mutating func record(_ time: Duration) {
    let microseconds = UInt64(max(0, time / .microseconds(1)).rounded())
    buckets[Self.bucket(of: min(microseconds, Self.greatest)), default: 0] += 1
    count += 1
  }

  /// The value below which the share `quantile` of the recorded times lies, in milliseconds; nil without any.
  func quantile(_ quantile: Double) -> Double? {
    guard count > 0 else { return nil }
    var left = max(1, Int((quantile * Double(count)).rounded(.up)))
    for (bucket, number) in buckets.sorted(by: { $0.key < $1.key }) {
      left -= number
      if left <= 0 { return Self.middle(of: bucket) / 1_000 }
    }
    return nil
  }

  private static func bucket(of value: UInt64) -> Int {
    guard value >= 1 << subBits else { return Int(value) }
    let shift = 63 - value.leadingZeroBitCount - subBits
    return (shift + 1) << subBits + Int(value >> shift) - 1 << subBits
  }

  private static func middle(of bucket: Int) -> Double {
    guard bucket >= 1 << subBits else { return Double(bucket) }
    let shift = bucket >> subBits - 1
    let low = UInt64(bucket & (1 << subBits - 1) + 1 << subBits) << shift
    return Double(low) + Double(UInt64(1) << shift - 1) / 2
  }
}
