import Synchronization

/// Guards a resource by fencing tokens: remembers the last accepted token, and refuses writes with an older one.
///
/// The guard belongs where the writes arrive, not where they are sent. It then refuses a leader that was paused between a check of its own
/// and the write, whatever the clocks do, once the next leader has written.
///
/// ```swift
/// let guarded = FencingGuard()
/// try guarded.perform(with: token) { reports.append(report) }
/// ```
///
/// `FencingGuard` guards a resource of one process. A database remembers the token itself, in the transaction of the write: see
/// <doc:FencingWrites>.
public final class FencingGuard: Sendable {
  private let last: Mutex<FencingToken?>

  /// Creates a guard.
  ///
  /// - Parameter accepted: The last token that the resource accepted, stored with its data; `nil`, the default, for a new resource.
  public init(accepted: FencingToken? = nil) {
    last = Mutex(accepted)
  }

  /// The last accepted token; store it with the resource's data if the data outlives the process.
  public var accepted: FencingToken? { last.withLock { $0 } }

  /// Performs a write if its token is admitted; one write at a time.
  ///
  /// - Parameters:
  ///   - token: The fencing token of the write.
  ///   - write: The write. The token counts as accepted even if the write throws.
  /// - Returns: The value of the write.
  /// - Throws: ``ElectionError`` with `staleFencingToken` if the token is refused; the error of the write.
  public func perform<Value>(with token: FencingToken, _ write: () throws -> Value) throws -> Value {
    // Outside the lock, because a lock returns only sendable values.
    var value: Value?
    try last.withLock { last in
      if let last, !last.admits(token) {
        throw ElectionError(
          .staleFencingToken,
          "the write of term \(token) is refused, because \(last) has been accepted: another node leads or has led after the sender")
      }
      last = token
      value = try write()
    }
    guard let value else { preconditionFailure("a write that did not throw has no value") }
    return value
  }

  /// Accepts a token, for a resource that cannot be written under a lock.
  ///
  /// A later write may still arrive after that of a later leader: only ``perform(with:_:)`` prevents that.
  ///
  /// - Parameter token: The fencing token of the write.
  /// - Throws: ``ElectionError`` with `staleFencingToken` if the token is refused.
  public func accept(_ token: FencingToken) throws {
    try perform(with: token) {}
  }
}
