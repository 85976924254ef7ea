import Testing

@testable import ParallaxRedis

extension SubscriptionTopic: ExpressibleByStringLiteral {
  /// A channel.
  public init(stringLiteral value: String) { self = .channel(value) }
}

@Suite("Subscription registry")
struct SubscriptionRegistryTests {
  @Test("A subscription begins once the server has confirmed all of its channels")
  func begin() {
    var registry = SubscriptionRegistry()
    #expect(registry.subscribe(1, to: ["b", "a"]) == [])
    #expect(registry.connected() == [.subscribe(["a", "b"])])
    #expect(registry.confirmed("a") == [])
    #expect(registry.confirmed("b") == [.began(1)])
    #expect(registry.listeners(to: "a") == [1])
    #expect(registry.listeners(to: "c") == [])
  }

  @Test("A second subscription to a confirmed channel begins at once")
  func shared() {
    var registry = SubscriptionRegistry()
    _ = registry.connected()
    #expect(registry.subscribe(1, to: ["a"]) == [.subscribe(["a"])])
    #expect(registry.confirmed("a") == [.began(1)])
    #expect(registry.subscribe(2, to: ["a"]) == [.began(2)])
    #expect(registry.unsubscribe(1) == [])
    #expect(registry.unsubscribe(2) == [.unsubscribe(["a"])])
    #expect(registry.confirmed("a") == [])
    #expect(registry.isEmpty)
  }

  @Test("After a reconnection subscriptions resume once confirmed")
  func reconnection() {
    var registry = SubscriptionRegistry()
    _ = registry.connected()
    _ = registry.subscribe(1, to: ["a"])
    _ = registry.confirmed("a")
    _ = registry.subscribe(2, to: ["b"])
    registry.disconnected()
    #expect(registry.connected() == [.subscribe(["a", "b"])])
    #expect(registry.confirmed("a") == [.resumed(1)])
    #expect(registry.confirmed("b") == [.began(2)])
  }

  @Test("A confirmation from before an unsubscription does not confirm a later subscription")
  func staleConfirmation() {
    var registry = SubscriptionRegistry()
    _ = registry.connected()
    #expect(registry.subscribe(1, to: ["a"]) == [.subscribe(["a"])])
    #expect(registry.unsubscribe(1) == [.unsubscribe(["a"])])
    #expect(registry.subscribe(2, to: ["a"]) == [.subscribe(["a"])])
    #expect(registry.confirmed("a") == [])
    #expect(registry.confirmed("a") == [])
    #expect(registry.confirmed("a") == [.began(2)])
  }

  @Test("Unsolicited confirmations are ignored")
  func unexpected() {
    var registry = SubscriptionRegistry()
    _ = registry.connected()
    #expect(registry.confirmed("x") == [])
    _ = registry.subscribe(1, to: ["a"])
    #expect(registry.confirmed("a") == [.began(1)])
    #expect(registry.confirmed("a") == [])
    #expect(registry.unsubscribe(9) == [])
  }

  @Test("A pattern and a channel of the same name are different topics")
  func patterns() {
    var registry = SubscriptionRegistry()
    _ = registry.connected()
    #expect(registry.subscribe(1, to: ["a", .pattern("a")]) == [.subscribe(["a"]), .subscribe([.pattern("a")])])
    #expect(registry.confirmed(.pattern("a")) == [])
    #expect(registry.confirmed("a") == [.began(1)])
    #expect(registry.subscribe(2, to: ["a"]) == [.began(2)])
    #expect(registry.listeners(to: .pattern("a")) == [1])
    #expect(registry.unsubscribe(1) == [.unsubscribe([.pattern("a")])])
  }

  @Test("A command refused for one topic is repeated topic by topic, and only that topic's subscriptions are refused")
  func refusal() {
    var registry = SubscriptionRegistry()
    _ = registry.subscribe(1, to: ["a"])
    _ = registry.subscribe(2, to: ["b"])
    #expect(registry.connected() == [.subscribe(["a", "b"])])
    #expect(Self.refused(&registry) == [.subscribe(["a"]), .subscribe(["b"])])
    #expect(registry.confirmed("a") == [.began(1)])
    #expect(Self.refused(&registry) == [.refused(2)])
    #expect(Self.refused(&registry) == nil)
    #expect(registry.tryRefusedAgain() == [.subscribe(["b"])])
    #expect(Self.refused(&registry) == [])
    #expect(registry.tryRefusedAgain() == [.subscribe(["b"])])
    #expect(registry.confirmed("b") == [.began(2)])
    #expect(registry.tryRefusedAgain() == [])
  }

  private static func refused(_ registry: inout SubscriptionRegistry) -> [SubscriptionRegistry.Action]? {
    registry.refused()
  }
}
