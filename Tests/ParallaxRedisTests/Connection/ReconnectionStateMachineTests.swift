import Testing

@testable import ParallaxRedis

@Suite("Reconnection")
struct ReconnectionStateMachineTests {
  private static let refused = RedisError(.connectionFailed, message: "refused")
  private static let wrongPassword = RedisError(.authenticationFailed, message: "wrong")

  private static func machine() -> ReconnectionStateMachine {
    ReconnectionStateMachine(backoff: .init(base: .milliseconds(50), maximum: .milliseconds(400)))
  }

  private static func seconds(_ value: Int) -> Duration { .seconds(value) }

  @Test("The ceiling of the waits doubles up to the maximum, and the wait is anywhere below it")
  func backoff() {
    var machine = Self.machine()
    #expect(machine.start() == .connect)
    var waits: [Duration] = []
    for _ in 0..<5 {
      let (action, _) = machine.failed(Self.refused, now: .zero, random: 0.5)
      guard case .wait(let wait) = action else { preconditionFailure("no wait after a failure") }
      waits.append(wait)
      #expect(machine.waited() == .connect)
    }
    #expect(waits == [.milliseconds(25), .milliseconds(50), .milliseconds(100), .milliseconds(200), .milliseconds(200)])
    #expect(machine.failed(Self.refused, now: .zero, random: 0).0 == .wait(.zero))
  }

  @Test("An outage is announced once for each of its causes, and its end once")
  func announcements() {
    var machine = Self.machine()
    _ = machine.start()
    #expect(machine.connected(now: .zero) == .none)
    #expect(machine.lost(Self.refused, now: Self.seconds(10), random: 0).1 == .outage(Self.refused))
    for _ in 0..<3 {
      _ = machine.waited()
      #expect(machine.failed(Self.refused, now: Self.seconds(11), random: 0).1 == .none)
    }
    _ = machine.waited()
    #expect(machine.failed(Self.wrongPassword, now: Self.seconds(11), random: 0).1 == .outage(Self.wrongPassword))
    _ = machine.waited()
    #expect(machine.connected(now: Self.seconds(12)) == .recovered(attempts: 5, outage: Self.seconds(2)))
    #expect(machine.lost(Self.refused, now: Self.seconds(20), random: 0).1 == .outage(Self.refused))
  }

  @Test("A connection that breaks at once does not reset the backoff, one that held does")
  func flapping() {
    var machine = Self.machine()
    _ = machine.start()
    for _ in 0..<3 {
      _ = machine.failed(Self.refused, now: .zero, random: 0.5)
      _ = machine.waited()
    }
    _ = machine.connected(now: .zero)
    #expect(machine.lost(Self.refused, now: .milliseconds(1), random: 0.5).0 == .wait(.milliseconds(200)))
    _ = machine.waited()
    _ = machine.connected(now: Self.seconds(1))
    #expect(machine.lost(Self.refused, now: Self.seconds(2), random: 0.5).0 == .wait(.milliseconds(25)))
  }

  @Test("After the end there are no attempts and no announcements")
  func end() {
    var machine = Self.machine()
    _ = machine.start()
    _ = machine.connected(now: .zero)
    machine.end()
    let (action, announcement) = machine.lost(Self.refused, now: .zero, random: 0)
    #expect(action == .end)
    #expect(announcement == .none)
    #expect(machine.waited() == .end)
  }
}
