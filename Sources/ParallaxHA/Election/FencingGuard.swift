import Synchronization

/// Guards a resource by fencing tokens: remembers the last accepted token, and refuses writes that carry an older one.
///
/// The guard stands where the writes arrive, not where they are sent: a leader that was paused between a check of its own and the write is
/// then refused whatever the clocks do, once the next leader has written.
///
/// ```swift
/// let guarded = FencingGuard()
/// try guarded.perform(with: token) { reports.append(report) }
/// ```
///
/// `FencingGuard` guards what lives in one process. A database remembers the token itself, in the transaction of the write: see
/// <doc:FencingWrites>.
public final class FencingGuard: Sendable {
  private let last: Mutex<FencingToken?>

  /// Makes a guard.
  ///
  /// - Parameter accepted: The last token that the resource accepted, as kept along with its data; `nil` for a new resource.
  public init(accepted: FencingToken? = nil) {
    last = Mutex(accepted)
  }

  /// The last accepted token, to be kept along with the resource's data if that outlives the process.
  public var accepted: FencingToken? { last.withLock { $0 } }

  /// Writes, if the write's token is admitted; one write at a time.
  ///
  /// - Parameters:
  ///   - token: The fencing token that the write carries.
  ///   - write: What to do to the resource. The token counts as accepted even if the write throws.
  /// - Returns: What the write returns.
  /// - Throws: ``ElectionError`` with `staleFencingToken` if the token is refused; what the write throws.
  public func perform<Value>(with token: FencingToken, _ write: () throws -> Value) throws -> Value {
    // Beside the lock, since a lock lets out only what may be sent anywhere.
    var value: Value?
    try last.withLock { last in
      if let last, !last.admits(token) {
        throw ElectionError(
          .staleFencingToken,
          "a write of term \(token) is refused, since \(last) has been accepted: another node leads, or has led, after its sender")
      }
      last = token
      value = try write()
    }
    guard let value else { preconditionFailure("a write that did not throw has no value") }
    return value
  }

  /// Accepts a token, for a resource that cannot be written while a lock is held.
  ///
  /// A write that is sent afterward may still arrive after a later leader's: only ``perform(with:_:)`` rules that out.
  ///
  /// - Parameter token: The fencing token that the write carries.
  /// - Throws: ``ElectionError`` with `staleFencingToken` if the token is refused.
  public func accept(_ token: FencingToken) throws {
    try perform(with: token) {}
  }
}
