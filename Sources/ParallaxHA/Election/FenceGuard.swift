import Synchronization

/// Guards a resource by fences: remembers the last one that it accepted, and refuses writes that carry an older one.
///
/// It stands where the writes arrive, not where they are sent: a leader that was paused between any check of its own and the write
/// is then refused whatever the clocks do, once the next leader has written.
///
/// ```swift
/// let guarded = FenceGuard()
/// try guarded.perform(with: fence) { reports.append(report) }
/// ```
///
/// This one guards what lives in one process. What is guarded in a database has to remember the fence there, in the same transaction as
/// the write: see <doc:FencingWrites>.
public final class FenceGuard: Sendable {
  private let last: Mutex<Fence?>

  /// Makes a guard.
  ///
  /// - Parameter accepted: The last fence that the resource accepted, as it was kept along with its data; `nil` for a new resource.
  public init(accepted: Fence? = nil) {
    last = Mutex(accepted)
  }

  /// The last fence that was accepted, to be kept along with the resource's data if that outlives the process.
  public var accepted: Fence? { last.withLock { $0 } }

  /// Writes, if the write's fence is admitted; one write at a time.
  ///
  /// - Parameters:
  ///   - fence: The fence that the write carries.
  ///   - write: What to do to the resource. The fence counts as accepted even if it throws.
  /// - Returns: What the write returns.
  /// - Throws: ``ElectionError`` with `staleFence` if the fence is refused; what the write throws.
  public func perform<Value>(with fence: Fence, _ write: () throws -> Value) throws -> Value {
    // Beside the lock, since a lock lets out only what may be sent anywhere.
    var value: Value?
    try last.withLock { last in
      if let last, !last.admits(fence) {
        throw ElectionError(
          .staleFence,
          "a write of term \(fence) is refused, since \(last) has been accepted: another node leads, or has led, after its sender")
      }
      last = fence
      value = try write()
    }
    guard let value else { preconditionFailure("a write that did not throw has no value") }
    return value
  }

  /// Accepts a fence, for a resource that cannot be written while a lock is held.
  ///
  /// A write that is sent after it may still arrive after a later leader's: only ``perform(with:_:)`` rules that out.
  ///
  /// - Parameter fence: The fence that the write carries.
  /// - Throws: ``ElectionError`` with `staleFence` if the fence is refused.
  public func accept(_ fence: Fence) throws {
    try perform(with: fence) {}
  }
}
