/// What can be listened to.
enum SubscriptionTopic: Hashable, Comparable {
  case channel(String)
  /// All channels whose names match, as in `news.*`.
  case pattern(String)
}

/// Who listens to which channels and patterns, and what the server has confirmed.
///
/// A pure value. A subscription is active while the server has confirmed all of its topics on the present connection. Subscribing and
/// unsubscribing are each confirmed once per topic, in order, so a topic's confirmation counts only when no other is due for it.
struct SubscriptionRegistry {
  enum Action: Equatable {
    case subscribe([SubscriptionTopic])
    case unsubscribe([SubscriptionTopic])
    /// The subscription is active for the first time.
    case began(UInt64)
    /// The subscription is active again; messages may have been missed.
    case resumed(UInt64)
  }

  private struct Topic {
    var subscriptions: Set<UInt64> = []
    var confirmationsDue = 0
    var isConfirmed = false
  }

  private struct Subscription {
    let topics: Set<SubscriptionTopic>
    var hasBegun = false
    var isActive = false
  }

  private var topics: [SubscriptionTopic: Topic] = [:]
  private var subscriptions: [UInt64: Subscription] = [:]
  private var isConnected = false

  var isEmpty: Bool { subscriptions.isEmpty }

  mutating func subscribe(_ id: UInt64, to names: [SubscriptionTopic]) -> [Action] {
    subscriptions[id] = Subscription(topics: Set(names))
    var new: [SubscriptionTopic] = []
    for name in Set(names).sorted() {
      if topics[name, default: Topic()].subscriptions.isEmpty { new.append(name) }
      topics[name, default: Topic()].subscriptions.insert(id)
    }
    guard isConnected else { return [] }
    return send(new, Action.subscribe) + activate(id)
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
    return isConnected ? send(unused, Action.unsubscribe) : []
  }

  mutating func connected() -> [Action] {
    isConnected = true
    return send(topics.keys.sorted(), Action.subscribe) + subscriptions.keys.sorted().flatMap { activate($0) }
  }

  mutating func disconnected() {
    isConnected = false
    for name in topics.keys {
      topics[name]?.confirmationsDue = 0
      topics[name]?.isConfirmed = false
    }
    topics = topics.filter { !$0.value.subscriptions.isEmpty }
    for id in subscriptions.keys { subscriptions[id]?.isActive = false }
  }

  /// The server has confirmed that a topic is subscribed to, or not any more.
  mutating func confirmed(_ name: SubscriptionTopic) -> [Action] {
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

  /// Who gets a message of a topic.
  func listeners(to name: SubscriptionTopic) -> Set<UInt64> {
    topics[name]?.subscriptions ?? []
  }

  private mutating func send(_ names: [SubscriptionTopic], _ action: ([SubscriptionTopic]) -> Action) -> [Action] {
    for name in names { topics[name]?.confirmationsDue += 1 }
    for name in names { topics[name]?.isConfirmed = false }
    return names.isEmpty ? [] : [action(names)]
  }

  private mutating func activate(_ id: UInt64) -> [Action] {
    guard var subscription = subscriptions[id], !subscription.isActive else { return [] }
    guard subscription.topics.allSatisfy({ topics[$0]?.isConfirmed == true }) else { return [] }
    let isFirst = !subscription.hasBegun
    subscription.isActive = true
    subscription.hasBegun = true
    subscriptions[id] = subscription
    return [isFirst ? .began(id) : .resumed(id)]
  }
}
