import DequeModule

/// A channel, or a pattern of channels.
enum SubscriptionTopic: Hashable, Comparable {
  case channel(String)
  /// All channels with matching names, as in `news.*`.
  case pattern(String)
}

/// The subscriptions of channels and patterns, and the confirmations of the server.
///
/// A pure value. A subscription is active while the server has confirmed all of its topics on the current connection. The server confirms
/// each subscribing and unsubscribing once per topic, in order, so a confirmation is valid only if no other one is due for its topic. The
/// server refuses a command as a whole if it refuses one of its topics; then each topic is tried by itself.
struct SubscriptionRegistry {
  enum Action: Equatable {
    case subscribe([SubscriptionTopic])
    case unsubscribe([SubscriptionTopic])
    /// The subscription is active for the first time.
    case began(UInt64)
    /// The subscription is active again; messages may be missing.
    case resumed(UInt64)
    /// The server refuses a topic of the subscription.
    case refused(UInt64)
  }

  private struct Topic {
    var subscriptions: Set<UInt64> = []
    var confirmationsDue = 0
    var isConfirmed = false
    var isRefused = false
  }

  /// A command that was sent and is not fully answered.
  private struct Command {
    let topics: [SubscriptionTopic]
    let isSubscribing: Bool
    var missing: Int
  }

  private struct Subscription {
    let topics: Set<SubscriptionTopic>
    var hasBegun = false
    var isActive = false
    var knowsOfRefusal = false
  }

  private var topics: [SubscriptionTopic: Topic] = [:]
  private var subscriptions: [UInt64: Subscription] = [:]
  private var commands = Deque<Command>()
  private var isConnected = false

  var isEmpty: Bool { subscriptions.isEmpty }

  /// Whether the server has confirmed every subscribed topic.
  var isComplete: Bool { topics.values.allSatisfy { $0.isConfirmed || $0.subscriptions.isEmpty } }

  /// Whether the server refuses a subscribed topic.
  var hasRefusals: Bool { topics.values.contains { $0.isRefused && !$0.subscriptions.isEmpty } }

  mutating func subscribe(_ id: UInt64, to names: [SubscriptionTopic]) -> [Action] {
    subscriptions[id] = Subscription(topics: Set(names))
    var new: [SubscriptionTopic] = []
    for name in Set(names).sorted() {
      if topics[name, default: Topic()].subscriptions.isEmpty { new.append(name) }
      topics[name, default: Topic()].subscriptions.insert(id)
    }
    guard isConnected else { return [] }
    return send(new, isSubscribing: true) + activate(id)
  }

  mutating func unsubscribe(_ id: UInt64) -> [Action] {
    guard let subscription = subscriptions.removeValue(forKey: id) else { return [] }
    var unused: [SubscriptionTopic] = []
    for name in subscription.topics.sorted() {
      topics[name]?.subscriptions.remove(id)
      guard topics[name]?.subscriptions.isEmpty == true else { continue }
      unused.append(name)
      topics[name]?.isConfirmed = false
      if !isConnected { topics[name] = nil }
    }
    return isConnected ? send(unused, isSubscribing: false) : []
  }

  mutating func connected() -> [Action] {
    isConnected = true
    return send(topics.keys.sorted(), isSubscribing: true) + subscriptions.keys.sorted().flatMap { activate($0) }
  }

  mutating func disconnected() {
    isConnected = false
    commands = []
    for name in topics.keys {
      topics[name]?.confirmationsDue = 0
      topics[name]?.isRefused = false
      topics[name]?.isConfirmed = false
    }
    topics = topics.filter { !$0.value.subscriptions.isEmpty }
    for id in subscriptions.keys { subscriptions[id]?.isActive = false }
  }

  /// The server has confirmed the beginning or the end of a topic's subscription.
  mutating func confirmed(_ name: SubscriptionTopic) -> [Action] {
    if let command = commands.first {
      if command.missing > 1 { commands[0].missing -= 1 } else { commands.removeFirst() }
    }
    guard var topic = topics[name], topic.confirmationsDue > 0 else { return [] }
    topic.confirmationsDue -= 1
    guard topic.confirmationsDue == 0 else {
      topics[name] = topic
      return []
    }
    if topic.subscriptions.isEmpty {
      topics[name] = nil
      return []
    }
    topic.isConfirmed = true
    topics[name] = topic
    return topic.subscriptions.sorted().flatMap { activate($0) }
  }

  /// The server has refused the oldest unanswered command; `nil` if no command can be meant.
  mutating func refused() -> [Action]? {
    guard let command = commands.first, command.isSubscribing else { return nil }
    commands.removeFirst()
    for name in command.topics { topics[name]?.confirmationsDue -= 1 }
    let wanted = command.topics.filter { topics[$0]?.subscriptions.isEmpty == false }
    guard command.topics.count == 1 else { return wanted.flatMap { send([$0], isSubscribing: true) } }
    return wanted.flatMap { name in
      topics[name]?.isRefused = true
      return (topics[name]?.subscriptions ?? []).sorted().compactMap { id -> Action? in
        guard subscriptions[id]?.knowsOfRefusal == false else { return nil }
        subscriptions[id]?.knowsOfRefusal = true
        return .refused(id)
      }
    }
  }

  /// Requests the refused topics again.
  mutating func tryRefusedAgain() -> [Action] {
    let refused = topics.filter { $0.value.isRefused && !$0.value.subscriptions.isEmpty }.keys.sorted()
    for name in refused { topics[name]?.isRefused = false }
    return refused.flatMap { send([$0], isSubscribing: true) }
  }

  /// The subscriptions that receive the messages of a topic.
  func listeners(to name: SubscriptionTopic) -> Set<UInt64> {
    topics[name]?.subscriptions ?? []
  }

  /// Channels and patterns need separate commands.
  private mutating func send(_ names: [SubscriptionTopic], isSubscribing: Bool) -> [Action] {
    for name in names {
      topics[name]?.confirmationsDue += 1
      topics[name]?.isConfirmed = false
    }
    let channels = names.filter { if case .channel = $0 { true } else { false } }
    let patterns = names.filter { if case .pattern = $0 { true } else { false } }
    return [channels, patterns].filter { !$0.isEmpty }.map { names in
      commands.append(Command(topics: names, isSubscribing: isSubscribing, missing: names.count))
      return isSubscribing ? .subscribe(names) : .unsubscribe(names)
    }
  }

  private mutating func activate(_ id: UInt64) -> [Action] {
    guard var subscription = subscriptions[id], !subscription.isActive else { return [] }
    guard subscription.topics.allSatisfy({ topics[$0]?.isConfirmed == true }) else { return [] }
    let isFirst = !subscription.hasBegun
    subscription.isActive = true
    subscription.knowsOfRefusal = false
    subscription.hasBegun = true
    subscriptions[id] = subscription
    return [isFirst ? .began(id) : .resumed(id)]
  }
}
