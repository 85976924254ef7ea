import DequeModule
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxServer
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Relays the cluster's events to HTTP clients, from one subscription and one window of recent events for all of them.
///
/// The subscription lasts from the first client until a minute after the last, so that a client that comes back within it misses nothing.
/// Clients read from the window at their own pace: one that falls out of it gets a gap, and costs no memory.
final class EventRelay: Service {
  private struct State {
    /// The recent events; the last one has the number `last`.
    var window: Deque<EventDelivery> = []
    var last: Int64 = 0
    var readers: [Int: WakeUp] = [:]
    var lastReader = 0
    var unwatchedSince: Duration?
  }

  /// The largest number of events in the window.
  static let capacity = 1_000
  /// How long the subscription outlasts its last reader.
  static let linger: Duration = .seconds(60)
  /// The time after which a silent stream tells its client that it lives.
  static let keepAlive: Duration = .seconds(15)

  /// Events between nodes that tell an observer nothing.
  private static let internalTypes: Set<String> = ["marker", ClusterEventPolicy.loadRequest, "loads"]

  private let bus: any EventBus
  private let session: NodeSession
  fileprivate let clock: NodeClock
  private let state = Mutex(State())
  private let isWanted = WakeUp()

  /// Makes a relay without readers.
  ///
  /// - Parameters:
  ///   - bus: The bus of the cluster.
  ///   - session: This node, whose incarnation makes the ids of its window unique.
  ///   - clock: The node's clock.
  init(bus: any EventBus, session: NodeSession, clock: NodeClock) {
    self.bus = bus
    self.session = session
    self.clock = clock
  }

  /// Follows the cluster's events while there are readers, until a graceful shutdown begins.
  func run() async throws {
    await cancelWhenGracefulShutdown {
      for await _ in self.isWanted { await self.follow() }
    }
  }

  private func follow() async {
    _ = await race {
      for await delivery in self.bus.subscribe(to: Set(ClusterEvent.Channel.allCases)) { self.add(delivery) }
    } until: {
      repeat { try await self.clock.sleep(for: Self.linger) } while !self.isUnwatched
    }
    // What happens from here on is unknown, so that a later reader finds a gap.
    state.withLock { state in
      state.window = []
      state.last += 1
    }
  }

  private var isUnwatched: Bool {
    let now = clock.now.instant
    return state.withLock { state in state.unwatchedSince.map { now - $0 >= Self.linger } ?? false }
  }

  private func add(_ delivery: EventDelivery) {
    if case .event(let event, _) = delivery, Self.internalTypes.contains(event.type) { return }
    let readers = state.withLock { state in
      state.window.append(delivery)
      state.last += 1
      if state.window.count > Self.capacity { _ = state.window.popFirst() }
      return Array(state.readers.values)
    }
    for reader in readers { reader.signal() }
  }

  // MARK: Readers

  /// Streams the events of some channels to one client.
  ///
  /// The stream begins with `hello`, which names this node. It continues behind the event with the id `lastID`; if this node's window no
  /// longer has what followed, a `gap` stands for it. It ends when the consumer's task is cancelled.
  func stream(after lastID: String?, channels: Set<ClusterEvent.Channel>) -> AsyncStream<ServerSentEvent> {
    let reader = EventReader(relay: self, channels: channels, position: lastID.map { position(of: $0) ?? -1 })
    return AsyncStream { await reader.next() }
  }

  /// The id of an event of this window, which another node and another life of this one tell from their own.
  fileprivate func id(_ number: Int64) -> String { "\(session.incarnation)-\(number)" }

  private func position(of id: String) -> Int64? {
    let prefix = session.incarnation + "-"
    guard id.hasPrefix(prefix), let number = Int64(id.dropFirst(prefix.count)), number >= 0 else { return nil }
    return number
  }

  fileprivate var hello: ServerSentEvent {
    .event(name: "hello", id: nil, data: Array("{\"nodeId\":\((try? session.nodeID.jsonText) ?? "\"\"")}".utf8))
  }

  /// Registers a reader; returns its number and the position of the newest event.
  fileprivate func begin(_ wakeUp: WakeUp) -> (number: Int, position: Int64) {
    let begun = state.withLock { state in
      state.lastReader += 1
      state.readers[state.lastReader] = wakeUp
      state.unwatchedSince = nil
      return (state.lastReader, state.last)
    }
    isWanted.signal()
    return begun
  }

  fileprivate func end(_ reader: Int) {
    let now = clock.now.instant
    state.withLock { state in
      state.readers[reader] = nil
      if state.readers.isEmpty { state.unwatchedSince = now }
    }
  }

  /// The first event behind a position with its number; nil if there is none yet.
  fileprivate func delivery(after position: Int64) -> (number: Int64, delivery: EventDelivery)? {
    state.withLock { state in
      guard position != state.last else { return nil }
      let first = state.last - Int64(state.window.count) + 1
      // The position is from before the window, or from no window of this node.
      guard position >= first - 1, position < state.last else { return (position > state.last ? state.last : first - 1, .gap) }
      return (position + 1, state.window[Int(position + 1 - first)])
    }
  }
}

/// One client's place in the events of a relay.
private final class EventReader: Sendable {
  private struct State {
    var position: Int64
    var hasBegun = false
  }

  private let relay: EventRelay
  private let channels: Set<ClusterEvent.Channel>
  private let number: Int
  private let wakeUp = WakeUp()
  private let state: Mutex<State>

  init(relay: EventRelay, channels: Set<ClusterEvent.Channel>, position: Int64?) {
    self.relay = relay
    self.channels = channels
    let begun = relay.begin(wakeUp)
    number = begun.number
    state = Mutex(State(position: position ?? begun.position))
  }

  deinit { relay.end(number) }

  func next() async -> ServerSentEvent? {
    let isFirst = state.withLock { state in
      defer { state.hasBegun = true }
      return !state.hasBegun
    }
    if isFirst { return relay.hello }
    let deadline = relay.clock.monotonic.now.advanced(by: EventRelay.keepAlive)
    while !Task.isCancelled {
      while let (number, delivery) = relay.delivery(after: state.withLock({ $0.position })) {
        state.withLock { $0.position = number }
        if let event = event(delivery, number) { return event }
      }
      guard let isSignaled = try? await wakeUp.wait(until: deadline, on: relay.clock.monotonic) else { return nil }
      if !isSignaled { return .comment }
    }
    return nil
  }

  private func event(_ delivery: EventDelivery, _ number: Int64) -> ServerSentEvent? {
    switch delivery {
    case .gap: return .event(name: "gap", id: relay.id(number), data: Array("{}".utf8))
    case .event(let event, let channel):
      guard channels.contains(channel), let data = try? Observed(event: event).jsonBytes else { return nil }
      return .event(name: channel.rawValue, id: relay.id(number), data: data)
    }
  }
}

/// An event as an observer sees it, without what only nodes need.
private struct Observed: JSONWritable {
  let event: ClusterEvent

  func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("details", event.details)
      json.member("id", event.id)
      json.member("nodeId", event.nodeId)
      json.member("timestamp", event.timestamp)
      json.member("type", event.type)
    }
  }
}
