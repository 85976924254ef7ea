/// Who listens to which channels, and what the server has confirmed.
///
/// A pure value. A subscription is active while the server has confirmed all of its channels on the present connection. SUBSCRIBE and
/// UNSUBSCRIBE are each confirmed once per channel, in order, so a channel's confirmation counts only when no other is due for it.
struct SubscriptionRegistry {
  enum Action: Equatable {
    case subscribe([String])
    case unsubscribe([String])
    /// The subscription is active for the first time.
    case began(UInt64)
    /// The subscription is active again; messages may have been missed.
    case resumed(UInt64)
  }

  private struct Channel {
    var subscriptions: Set<UInt64> = []
    var confirmationsDue = 0
    var isConfirmed = false
  }

  private struct Subscription {
    let channels: Set<String>
    var hasBegun = false
    var isActive = false
  }

  private var channels: [String: Channel] = [:]
  private var subscriptions: [UInt64: Subscription] = [:]
  private var isConnected = false

  var isEmpty: Bool { subscriptions.isEmpty }

  mutating func subscribe(_ id: UInt64, to names: [String]) -> [Action] {
    subscriptions[id] = Subscription(channels: Set(names))
    var new: [String] = []
    for name in Set(names).sorted() {
      if channels[name, default: Channel()].subscriptions.isEmpty { new.append(name) }
      channels[name, default: Channel()].subscriptions.insert(id)
    }
    guard isConnected else { return [] }
    return send(new, Action.subscribe) + activate(id)
  }

  mutating func unsubscribe(_ id: UInt64) -> [Action] {
    guard let subscription = subscriptions.removeValue(forKey: id) else { return [] }
    var unused: [String] = []
    for name in subscription.channels.sorted() {
      channels[name]?.subscriptions.remove(id)
      guard channels[name]?.subscriptions.isEmpty == true else { continue }
      unused.append(name)
      channels[name]?.isConfirmed = false
      if !isConnected { channels[name] = nil }
    }
    return isConnected ? send(unused, Action.unsubscribe) : []
  }

  mutating func connected() -> [Action] {
    isConnected = true
    return send(channels.keys.sorted(), Action.subscribe) + subscriptions.keys.sorted().flatMap { activate($0) }
  }

  mutating func disconnected() {
    isConnected = false
    for name in channels.keys {
      channels[name]?.confirmationsDue = 0
      channels[name]?.isConfirmed = false
    }
    channels = channels.filter { !$0.value.subscriptions.isEmpty }
    for id in subscriptions.keys { subscriptions[id]?.isActive = false }
  }

  /// The server has confirmed a SUBSCRIBE or UNSUBSCRIBE for a channel.
  mutating func confirmed(_ name: String) -> [Action] {
    guard var channel = channels[name], channel.confirmationsDue > 0 else { return [] }
    channel.confirmationsDue -= 1
    guard channel.confirmationsDue == 0 else {
      channels[name] = channel
      return []
    }
    if channel.subscriptions.isEmpty {
      channels[name] = nil
      return []
    }
    channel.isConfirmed = true
    channels[name] = channel
    return channel.subscriptions.sorted().flatMap { activate($0) }
  }

  /// Who gets a message on a channel.
  func listeners(to name: String) -> Set<UInt64> {
    channels[name]?.subscriptions ?? []
  }

  private mutating func send(_ names: [String], _ action: ([String]) -> Action) -> [Action] {
    for name in names { channels[name]?.confirmationsDue += 1 }
    for name in names { channels[name]?.isConfirmed = false }
    return names.isEmpty ? [] : [action(names)]
  }

  private mutating func activate(_ id: UInt64) -> [Action] {
    guard var subscription = subscriptions[id], !subscription.isActive else { return [] }
    guard subscription.channels.allSatisfy({ channels[$0]?.isConfirmed == true }) else { return [] }
    let isFirst = !subscription.hasBegun
    subscription.isActive = true
    subscription.hasBegun = true
    subscriptions[id] = subscription
    return [isFirst ? .began(id) : .resumed(id)]
  }
}
