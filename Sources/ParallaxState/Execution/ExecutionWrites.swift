/// The writes of one execution: one is on its way at a time, and the changes made meanwhile are gathered into the next.
///
/// An action that has to wait until a change is in the store is kept with the change and comes out once the store has it.
struct ExecutionWrites: Sendable {
  typealias Action = ExecutionMachine.Action

  private enum Flight: Sendable {
    case idle
    case underway(then: [Action], restores: Bool)
    /// The store refused the last write, as it has outcomes that were not read; `then` would have come out after it, and `base` is the
    /// earliest revision that the store holds if it has lost nothing.
    case refused(then: [Action], base: Int64)
  }

  /// What follows the end of a write.
  enum Step {
    /// No write was on its way.
    case ignored
    /// The store has the change: its actions come out, and the gathered changes go there.
    case written(then: [Action], next: StoreCall?)
    /// The store has lost of the execution: it is written as a whole.
    case restore
    /// The store has outcomes that were not read.
    case read
    /// Another node owns the execution, or it is gone.
    case lost
  }

  private var flight = Flight.idle
  private var gathered: (change: ExecutionChange, then: [Action])?
  /// Whether the store may have lost what is not on its way there.
  private var isStoreReset = false

  init() {}

  /// The writes of an execution that was read anew: none, but a restoration stays due.
  init(after former: ExecutionWrites) {
    isStoreReset = former.isStoreReset
  }

  /// Whether no write is on its way, and none was refused.
  var isIdle: Bool {
    if case .idle = flight { true } else { false }
  }

  /// Whether the execution has to be read before anything is written.
  var isRefused: Bool { refusedBase != nil }

  /// The earliest revision that the store holds if it has lost nothing, once it has refused a write; nil if it has not.
  var refusedBase: Int64? {
    if case .refused(_, let base) = flight { base } else { nil }
  }

  /// The revision of the write that is on its way.
  func writtenRevision(of execution: Execution) -> Int64 { gathered.map { $0.change.revision - 1 } ?? execution.revision }

  /// The revision of the next change.
  func nextRevision(of execution: Execution) -> Int64 { gathered?.change.revision ?? execution.revision + 1 }

  /// Begins with the execution's creation.
  mutating func create(_ stored: StoredExecution, then: [Action]) -> StoreCall {
    flight = .underway(then: then, restores: false)
    return .create(stored)
  }

  /// Takes a change; returns it if it can be written now.
  mutating func add(_ change: ExecutionChange, then: [Action]) -> StoreCall? {
    if isIdle {
      flight = .underway(then: then, restores: false)
      return .update(change)
    }
    if gathered == nil {
      gathered = (change, then)
    } else {
      gathered?.change.add(change)
      gathered?.then += then
    }
    return nil
  }

  /// Takes an action that must not overtake a write; returns it if there is none.
  mutating func whenWritten(_ action: Action) -> Action? {
    if gathered != nil {
      gathered?.then.append(action)
      return nil
    }
    switch flight {
    case .idle: return action
    case .underway(let then, let restores): flight = .underway(then: then + [action], restores: restores)
    case .refused(let then, let base): flight = .refused(then: then + [action], base: base)
    }
    return nil
  }

  /// The write of a revision that was on its way has ended; `recordings` is how many outcomes of other nodes were read by now.
  mutating func finish(_ outcome: UpdateOutcome, revision: Int64, recordings: Int64) -> Step {
    guard case .underway(let then, let restores) = flight else { return .ignored }
    switch outcome {
    // A gathered change finds out by itself whether the store has lost of the execution; what lists it is restored after that.
    case .applied where isStoreReset && gathered == nil: return restore(then: then)
    case .behind where !restores, .missing where !restores: return restore(then: then)
    case .applied:
      flight = .idle
      guard var next = gathered else { return .written(then: then, next: nil) }
      gathered = nil
      next.change.recordings = recordings
      return .written(then: then, next: add(next.change, then: next.then))
    case .unread:
      // A restoration is over what the store has lost of, whatever a reading shows.
      flight = .refused(then: then + (gathered?.then ?? []), base: restores ? .max : revision - 1)
      gathered = nil
      return .read
    case .stale, .behind, .missing: return .lost
    }
  }

  /// Whether the execution is to be written as a whole, and nothing stands in the way of that.
  var isRestorationDue: Bool { isStoreReset && isIdle }

  /// The store may have lost writes; whether the execution is to be written as a whole now.
  mutating func storeReset() -> Bool {
    guard isIdle else {
      isStoreReset = true
      return false
    }
    _ = restore(then: [])
    return true
  }

  /// The store has lost writes, as a reading shows; whether the execution is to be written as a whole now.
  mutating func storeLacks() -> Bool {
    guard case .refused(let then, _) = flight else { return storeReset() }
    _ = restore(then: then)
    return true
  }

  /// Begins to write the execution as a whole, in place of a write that was refused, and drops what would have followed its end.
  mutating func restoreUndecided() {
    _ = restore(then: letGo().filter { $0 != .finished })
  }

  /// Gives up all writes, and returns what waited for them.
  mutating func letGo() -> [Action] {
    defer {
      flight = .idle
      gathered = nil
    }
    switch flight {
    case .idle: return gathered?.then ?? []
    case .underway(let then, _), .refused(let then, _): return then + (gathered?.then ?? [])
    }
  }

  private mutating func restore(then: [Action]) -> Step {
    isStoreReset = false
    flight = .underway(then: then + (gathered?.then ?? []), restores: true)
    gathered = nil
    return .restore
  }
}
