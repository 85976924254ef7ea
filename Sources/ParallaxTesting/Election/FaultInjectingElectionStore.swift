import ParallaxConcurrency
public import ParallaxHA
import Synchronization

/// An election store with faults on demand, for tests of services that depend on an election.
///
/// ``faults`` can be set at any time, and hold for calls that begin later.
public final class FaultInjectingElectionStore<Base: ElectionStore>: ElectionStore {
  /// The faults of a store.
  public struct Faults: Sendable, Hashable {
    /// Whether requests get lost before they reach the store.
    public var losesRequests = false
    /// Whether the store carries out calls but its replies get lost.
    public var losesReplies = false
    /// Whether calls hang until they are cancelled, and never reach the store.
    public var hangs = false
    /// Whether hints get lost.
    public var losesHints = false

    /// No faults.
    public init() {}

    /// The node is cut off: requests and hints get lost.
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

  /// Makes a store without faults.
  ///
  /// - Parameter base: The store behind it.
  public init(_ base: Base) {
    self.base = base
  }

  /// The present faults.
  public var faults: Faults {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }

  /// The value of the store behind.
  public var needsBootstrapWait: Bool { base.needsBootstrapWait }

  /// Reads the record, if the call gets through.
  ///
  /// - Returns: What the store behind it has.
  /// - Throws: ``Lost``, or what the store behind it throws.
  public func read() async throws -> ElectionSnapshot? {
    try await pass { try await self.base.read() }
  }

  /// Writes a record, if the call gets through.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version that it replaces.
  /// - Returns: What the store behind it answers.
  /// - Throws: ``Lost``, or what the store behind it throws.
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
