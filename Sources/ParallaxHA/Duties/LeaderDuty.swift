/// Work that only the leader does, again and again while its term lasts.
public struct LeaderDuty: Sendable {
  /// Hurries a duty from outside: a fire makes it run at once, or once more right after it if it is running.
  public struct Trigger: Sendable {
    let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    /// Makes a trigger for one duty.
    public init() {
      (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Fires; several fires before the duty runs count as one.
    public func fire() { continuation.yield() }
  }

  /// What the duty is called in logs and metrics.
  public var name: String
  /// How long after one run the next begins; up to a fifth is added at random.
  public var interval: Duration
  /// What hurries it, if anything.
  public var trigger: Trigger?
  /// What it does.
  public var work: @Sendable (Fence) async throws -> Void

  /// Makes a duty.
  public init(name: String, interval: Duration, trigger: Trigger? = nil, work: @escaping @Sendable (Fence) async throws -> Void) {
    self.name = name
    self.interval = interval
    self.trigger = trigger
    self.work = work
  }
}
