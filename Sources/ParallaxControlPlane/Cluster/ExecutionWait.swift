import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Decides what one caller's wait for an execution of another node does next.
///
/// A value without a clock: `now` is the time on the node's monotonic clock. The owner is asked to report the end. Since the owner may be
/// lost, and the message or its answer too, the store is read again at intervals and the owner is asked again after `askInterval`, or at
/// once if it has changed.
struct ExecutionWait: Sendable {
  /// What a read of the execution came to.
  enum Reading: Sendable {
    case failed(any Error)
    case missing
    case found(StoredExecution)
  }

  /// What is to be done before the next read.
  enum Step: Sendable {
    /// The wait is over, with or without an execution.
    case end(StoredExecution?)
    /// The wait cannot begin.
    case fail(any Error)
    /// This node owns the execution and may drive it: wait for it here.
    case attach
    case ask([NodeMessage], NodeSession)
    case pause
  }

  /// How often the store is read while no message comes.
  static let readInterval: Duration = .seconds(1)
  /// How often one owner is asked.
  static let askInterval: Duration = .seconds(5)

  private let id: String
  private let session: NodeSession
  private let request: NodeMessage?
  private let deadline: Duration
  private var hasRead = false
  private var lastAsked: (owner: NodeSession, at: Duration)?

  /// Makes a wait that has read nothing.
  ///
  /// - Parameters:
  ///   - id: The execution.
  ///   - session: This node.
  ///   - request: What the owner is asked for besides the report of the end.
  ///   - deadline: When the wait is over.
  init(for id: String, at session: NodeSession, request: NodeMessage?, until deadline: Duration) {
    self.id = id
    self.session = session
    self.request = request
    self.deadline = deadline
  }

  /// Takes in a read.
  ///
  /// A failure counts at the first read only, as the caller can ask elsewhere then; later ones are waited out.
  mutating func read(_ reading: Reading, at now: Duration) -> Step {
    defer { hasRead = true }
    switch reading {
    case .failed(let error): return hasRead ? .pause : .fail(error)
    case .missing: return .end(nil)
    case .found(let stored) where stored.execution.status.isTerminal: return .end(stored)
    case .found(let stored) where stored.execution.owner == session: return .attach
    case .found(let stored): return ask(stored.execution.owner, at: now)
    }
  }

  private mutating func ask(_ owner: NodeSession, at now: Duration) -> Step {
    // An owner that does not drive the execution answers at once; asked at each answer, two nodes would ask and answer without end.
    if let lastAsked, lastAsked.owner == owner, now - lastAsked.at < Self.askInterval { return .pause }
    lastAsked = (owner, now)
    return .ask((request.map { [$0] } ?? []) + [.watch(execution: id, watcher: session)], owner)
  }

  /// When the store is to be read again, at the latest; nil if the wait is over.
  func nextRead(after now: Duration) -> Duration? {
    now < deadline ? min(now + Self.readInterval, deadline) : nil
  }
}
