import Testing

@testable import ParallaxRedis

@Suite("Leases")
struct LeaseStateMachineTests {
  private typealias Machine = LeaseStateMachine<String, String>

  private static func describe(_ answer: Machine.Answer) -> String {
    switch answer {
    case .use(let connection): "use \(connection)"
    case .open: "open"
    case .wait: "wait"
    case .refuse: "refuse"
    }
  }

  private static func describe(_ handover: Machine.Handover) -> String {
    switch handover {
    case .use(let waiter, let connection): "\(waiter) uses \(connection)"
    case .open(let waiter): "\(waiter) opens"
    case .none: "none"
    case .close(let connection): "close \(connection)"
    }
  }

  @Test("Connections are opened up to the maximum, reused, and passed to the waiting callers in order")
  func life() {
    var machine = Machine(maximum: 2, maximumIdle: 1)
    #expect((1...4).map { Self.describe(machine.request($0, "w\($0)")) } == ["open", "open", "wait", "wait"])
    #expect(Self.describe(machine.gaveBack("one")) == "w3 uses one")
    #expect(Self.describe(machine.released()) == "w4 opens")
    #expect(Self.describe(machine.gaveBack("one")) == "none")
    #expect(Self.describe(machine.gaveBack("two")) == "close two")
    #expect(Self.describe(machine.request(5, "w5")) == "use one")
    #expect(Self.describe(machine.request(6, "w6")) == "open")
  }

  @Test("A caller that gives up is skipped")
  func cancellation() {
    var machine = Machine(maximum: 1, maximumIdle: 1)
    _ = machine.request(1, "a")
    _ = machine.request(2, "b")
    _ = machine.request(3, "c")
    #expect(machine.cancel(2) == "b")
    #expect(machine.cancel(2) == nil)
    #expect(Self.describe(machine.gaveBack("one")) == "c uses one")
  }

  @Test("After the shutdown no connection is leased or kept")
  func shutDown() {
    var machine = Machine(maximum: 1, maximumIdle: 1)
    _ = machine.request(1, "a")
    _ = machine.request(2, "b")
    let (idle, waiting) = machine.shutDown()
    #expect(idle.isEmpty && waiting == ["b"])
    #expect(Self.describe(machine.gaveBack("one")) == "close one")
    #expect(Self.describe(machine.request(3, "c")) == "refuse")
  }
}
