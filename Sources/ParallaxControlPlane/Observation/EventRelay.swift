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
  /// What a client may get; an event is encoded once for all of them.
  fileprivate enum Entry {
    case gap
    case event(ClusterEvent.Channel, [UInt8])
  }

  private struct Reader {
    let channels: Set<ClusterEvent.Channel>
    let wakeUp: WakeUp
  }

  private struct State {
    /// The recent events; the last one has the number `last`.
    var window: Deque<Entry> = []
    var last: Int64 = 0
    var readers: [Int: Reader] = [:]
    var lastReader = 0
    var unwatchedSince: Duration?
  }

  /// The largest number of events in the window.
  static let capacity = 1_000
  /// How long the subscription outlasts its last reader.
  static let linger: Duration = .seconds(60)
  /// The time after which a silent stream tells its client that it lives.
  static let keepAlive: Duration = .seconds(15)
  /// The time after which a stream ends: its client connects again, with credentials that are checked again.
  static let streamLimit: Duration = .seconds(300)

  /// Events between nodes that tell an observer nothing.
  private static let internalTypes: Set<String> = ["marker", ClusterEventPolicy.loadRequest, "loads", "connection_ended"]

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
      // A wish may be left from a reader that has come and gone while the last subscription stood.
      for await _ in self.isWanted where self.isWatched { await self.follow() }
    }
  }

  private func follow() async {
    _ = await race {
      for await delivery in self.bus.subscribe(to: Set(ClusterEvent.Channel.allCases)) { self.add(delivery) }
    } until: {
      while let left = self.lingering { try await self.clock.sleep(for: left) }
    }
    // What happens from here on is unknown, so that a reader finds a gap.
    let readers = state.withLock { state in
      state.window = []
      state.last += 1
      return Array(state.readers.values)
    }
    for reader in readers { reader.wakeUp.signal() }
  }

  private var isWatched: Bool { state.withLock { !$0.readers.isEmpty } }

  /// The time for which the subscription lasts at least; nil if it is over.
  private var lingering: Duration? {
    let now = clock.now.instant
    return state.withLock { state in
      guard let unwatchedSince = state.unwatchedSince else { return Self.linger }
      let left = unwatchedSince + Self.linger - now
      return left > .zero ? left : nil
    }
  }

  private func add(_ delivery: EventDelivery) {
    let (entry, channel) = entry(of: delivery)
    guard let entry else { return }
    let readers = state.withLock { state in
      state.window.append(entry)
      state.last += 1
      if state.window.count > Self.capacity { state.window.removeFirst() }
      return state.readers.values.filter { reader in channel.map(reader.channels.contains) ?? true }
    }
    for reader in readers { reader.wakeUp.signal() }
  }

  /// The entry of a delivery, and its channel; no entry for what only nodes need.
  private func entry(of delivery: EventDelivery) -> (Entry?, ClusterEvent.Channel?) {
    guard case .event(let event, let channel) = delivery else { return (.gap, nil) }
    guard !Self.internalTypes.contains(event.type), let data = try? Observed(event: event).jsonBytes else { return (nil, nil) }
    return (.event(channel, data), channel)
  }

  // MARK: Readers

  /// Streams the events of some channels to one client.
  ///
  /// The stream begins with `hello`, which names this node. It continues behind the event with the id `lastID`; if this node's window no
  /// longer has what followed, a `gap` stands for it. It ends after ``streamLimit``, or when the consumer's task is cancelled.
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
  fileprivate func begin(_ wakeUp: WakeUp, _ channels: Set<ClusterEvent.Channel>) -> (number: Int, position: Int64) {
    let begun = state.withLock { state in
      state.lastReader += 1
      state.readers[state.lastReader] = Reader(channels: channels, wakeUp: wakeUp)
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
  fileprivate func entry(after position: Int64) -> (number: Int64, entry: Entry)? {
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
  private let end: MonotonicClock.Instant

  init(relay: EventRelay, channels: Set<ClusterEvent.Channel>, position: Int64?) {
    self.relay = relay
    self.channels = channels
    let begun = relay.begin(wakeUp, channels)
    number = begun.number
    state = Mutex(State(position: position ?? begun.position))
    end = relay.clock.monotonic.now.advanced(by: EventRelay.streamLimit)
  }

  deinit { relay.end(number) }

  func next() async -> ServerSentEvent? {
    let isFirst = state.withLock { state in
      defer { state.hasBegun = true }
      return !state.hasBegun
    }
    if isFirst { return relay.hello }
    let now = relay.clock.monotonic.now
    guard now < end else { return nil }
    let deadline = min(now.advanced(by: EventRelay.keepAlive), end)
    while !Task.isCancelled {
      while let (number, entry) = relay.entry(after: state.withLock({ $0.position })) {
        state.withLock { $0.position = number }
        if let event = event(entry, number) { return event }
      }
      guard let isSignaled = try? await wakeUp.wait(until: deadline, on: relay.clock.monotonic) else { return nil }
      if !isSignaled { return .comment }
    }
    return nil
  }

  private func event(_ entry: EventRelay.Entry, _ number: Int64) -> ServerSentEvent? {
    switch entry {
    case .gap: .event(name: "gap", id: relay.id(number), data: Array("{}".utf8))
    case .event(let channel, let data):
      channels.contains(channel) ? .event(name: channel.rawValue, id: relay.id(number), data: data) : nil
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
