import ParallaxConcurrency
public import ParallaxHA
import Synchronization

/// An election store with faults on demand, for tests of services that depend on an election.
///
/// ``faults`` can be set at any time, and apply to calls that begin later.
public final class FaultInjectingElectionStore<Base: ElectionStore>: ElectionStore {
  /// The faults of a store.
  public struct Faults: Sendable, Hashable {
    /// Whether requests are lost on their way to the store.
    public var losesRequests = false
    /// Whether the store executes calls but its replies are lost.
    public var losesReplies = false
    /// Whether calls hang until their cancellation, without reaching the store.
    public var hangs = false
    /// Whether hints are lost.
    public var losesHints = false

    /// Creates a value without faults.
    public init() {}

    /// The faults of a node that is cut off: requests and hints are lost.
    public static var cutOff: Faults {
      var faults = Faults()
      faults.losesRequests = true
      faults.losesHints = true
      return faults
    }
  }

  /// The error of a lost call.
  public struct Lost: Error, Sendable {}

  private let base: Base
  private let state = Mutex(Faults())

  /// Creates a store without faults.
  ///
  /// - Parameter base: The store that receives the calls.
  public init(_ base: Base) {
    self.base = base
  }

  /// The current faults.
  public var faults: Faults {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }

  /// The value of the base store.
  public var needsBootstrapWait: Bool { base.needsBootstrapWait }

  /// Reads the record, if the call is not lost.
  ///
  /// - Returns: The record of the base store.
  /// - Throws: ``Lost``, or the error of the base store.
  public func read() async throws -> ElectionSnapshot? {
    try await pass { try await self.base.read() }
  }

  /// Writes a record, if the call is not lost.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version to replace.
  /// - Returns: The answer of the base store.
  /// - Throws: ``Lost``, or the error of the base store.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    try await pass { try await self.base.compareAndSet(record, expecting: expecting) }
  }

  /// The hints that are not lost.
  public func changes() -> AsyncFilterSequence<Base.Changes> {
    base.changes().filter { [self] _ in !faults.losesHints }
  }

  private func pass<Value>(_ call: () async throws -> Value) async throws -> Value {
    let faults = self.faults
    if faults.hangs {
      try await WakeUp().wait()
      throw Lost()
    }
    if faults.losesRequests { throw Lost() }
    let value = try await call()
    if faults.losesReplies { throw Lost() }
    return value
  }
}
