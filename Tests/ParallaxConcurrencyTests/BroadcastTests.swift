import ParallaxConcurrency
import Testing

@Suite(.timeLimit(.minutes(1))) struct BroadcastTests {
  private let broadcast = Broadcast<Int>()

  /// The buffered elements, and those until the broadcast is finished.
  private func rest(_ subscription: Broadcast<Int>.Subscription) async -> [Int] {
    var elements: [Int] = []
    for await element in subscription { elements.append(element) }
    return elements
  }

  @Test func eachSubscriberGetsAllElementsFromItsSubscriptionOn() async {
    let first = broadcast.subscribe(buffering: 10)
    broadcast.send(1)
    let second = broadcast.subscribe(buffering: 10)
    broadcast.send([2, 3])
    broadcast.finish()
    #expect(await rest(first) == [1, 2, 3])
    #expect(await rest(second) == [2, 3])
  }

  @Test func aWaitingConsumerIsResumed() async {
    let subscription = broadcast.subscribe(buffering: 10)
    async let element = subscription.next()
    await Task.yield()
    broadcast.send(1)
    #expect(await element == 1)
  }

  @Test func aSubscriptionCanStartWithAnElement() async {
    let subscription = broadcast.subscribe(buffering: 10, startingWith: 0)
    broadcast.send(1)
    broadcast.finish()
    #expect(await rest(subscription) == [0, 1])
  }

  @Test("A slow consumer never holds the sender up, and learns how much it has missed")
  func slowConsumers() async {
    let oldest = broadcast.subscribe(buffering: 2, overflow: .dropNewest)
    let newest = broadcast.subscribe(buffering: 1)
    let marked = broadcast.subscribe(buffering: 2, overflow: .mark(-1))
    broadcast.send(1...5)
    #expect(await marked.next() == 1)
    #expect(await marked.next() == 2)
    broadcast.send(6)
    broadcast.finish()
    #expect(await rest(oldest) == [1, 2])
    #expect(oldest.takeDropped() == 4)
    #expect(oldest.takeDropped() == 0)
    #expect(await rest(newest) == [6])
    #expect(await rest(marked) == [-1, 6])
    #expect(marked.takeDropped() == 3)
  }

  @Test func consecutiveDroppedElementsHaveOneMark() async {
    let subscription = broadcast.subscribe(buffering: 2, overflow: .mark(-1))
    broadcast.send(1...4)
    #expect(await subscription.next() == 1)
    // The mark takes the free place.
    broadcast.send(5)
    #expect(await subscription.next() == 2)
    broadcast.send(6...8)
    broadcast.finish()
    #expect(await rest(subscription) == [-1, 6, -1])
  }

  @Test func aLongBufferKeepsTheOrder() async {
    let subscription = broadcast.subscribe(buffering: 1_000)
    for number in 0..<500 { broadcast.send(number) }
    for number in 0..<300 { #expect(await subscription.next() == number) }
    for number in 500..<900 { broadcast.send(number) }
    broadcast.finish()
    #expect(await rest(subscription) == Array(300..<900))
  }

  @Test func aSubscriptionEndsWithItsLastReference() {
    var subscription: Broadcast<Int>.Subscription? = broadcast.subscribe(buffering: 1)
    var stream: AsyncStream<Int>? = broadcast.subscribe(buffering: 1).stream()
    #expect(broadcast.subscriberCount == 2)
    subscription = nil
    stream = nil
    #expect(broadcast.subscriberCount == 0)
    #expect(subscription == nil && stream == nil)
  }

  @Test func aSubscriptionAfterTheEndIsEmpty() async {
    broadcast.finish()
    broadcast.send(1)
    #expect(await rest(broadcast.subscribe(buffering: 1)) == [])
    #expect(broadcast.subscriberCount == 0)
  }

  @Test func cancellationEndsTheSequenceAndKeepsTheBuffer() async throws {
    let subscription = broadcast.subscribe(buffering: 10)
    let waiting = Task { await subscription.next() }
    waiting.cancel()
    #expect(await waiting.value == nil)
    broadcast.send(1)
    let cancelled = await whenCancelled { await subscription.next() }
    #expect(try cancelled.get() == nil)
    #expect(await subscription.next() == 1)
  }

  @Test("Elements of several senders come in one order for all subscribers")
  func oneOrder() async {
    let subscriptions = (0..<3).map { _ in broadcast.subscribe(buffering: 10_000) }
    await withTaskGroup { group in
      for sender in 0..<4 {
        group.addTask { [broadcast] in for number in 0..<1_000 { broadcast.send(sender * 1_000 + number) } }
      }
    }
    broadcast.finish()
    let first = await rest(subscriptions[0])
    #expect(first.count == 4_000)
    for other in subscriptions.dropFirst() { #expect(await rest(other) == first) }
  }
}
