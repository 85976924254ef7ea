import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Retries")
struct RetryPolicyTests {
  private static let lost = RedisError(.connectionFailed, message: "lost")

  private static func verdict(
    _ command: RedisCommand, _ outcome: CommandOutcome, remaining: Duration = .seconds(1)
  ) -> String {
    var policy = RetryPolicy(command)
    return describe(policy.judge(outcome, remaining: remaining, random: 0.5))
  }

  private static func describe(_ verdict: RetryPolicy.Verdict) -> String {
    switch verdict {
    case .reply: "reply"
    case .fail(let error): "fail \(error.code)\(error.mayHaveExecuted ? " unknown" : "")"
    case .cancelled: "cancelled"
    case .sendSource: "source"
    case .pause: "pause"
    case .leave: "leave"
    case .redirect(let redirection, let pause): "\(redirection.kind) \(redirection.slot)\(pause > .zero ? " after a pause" : "")"
    case .reconnect: "reconnect"
    }
  }

  private static func serverError(_ text: String) -> CommandOutcome { .reply(.error(ByteBuffer(string: text))) }

  @Test("A written and lost command is repeated only if it is idempotent")
  func lostCommand() {
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.lost(Self.lost))) == "fail unknownOutcome unknown")
    #expect(Self.verdict(RedisCommand("GET", "k").idempotent, .failed(.lost(Self.lost))) == "reconnect")
    #expect(Self.verdict(RedisCommand("GET", "k").idempotent, .failed(.lost(Self.lost)), remaining: .zero) == "fail unknownOutcome unknown")
  }

  @Test("An unwritten command is repeated within the deadline")
  func unsentCommand() {
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.notSent(Self.lost))) == "reconnect")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.notSent(Self.lost)), remaining: .zero) == "fail connectionFailed")
    let shutDown = RedisError(.shutDown, message: "over")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.notSent(shutDown))) == "fail shutDown")
  }

  @Test("A command without an available connection fails at once")
  func unreachable() {
    let refused = RedisError(.authenticationFailed, message: "wrong")
    #expect(Self.verdict(RedisCommand("GET", "k").idempotent, .failed(.unreachable(refused))) == "fail authenticationFailed")
    // A connection that was closed for its peer's input is replaced.
    let violation = RedisError(.protocolViolation, message: "garbage")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.notSent(violation))) == "reconnect")
  }

  @Test("A server that answers NOSCRIPT to a script's source too is not asked forever")
  func endlessNoScript() {
    var policy = RetryPolicy(.evaluate(RedisScript("return 1"), keys: []))
    let verdicts = (0..<2).map { _ in
      Self.describe(policy.judge(Self.serverError("NOSCRIPT x"), remaining: .seconds(1), random: 0))
    }
    #expect(verdicts == ["source", "fail serverError"])
  }

  @Test(
    "A command is repeated within the deadline while the server is not ready",
    arguments: ["LOADING x", "TRYAGAIN x", "CLUSTERDOWN x", "MASTERDOWN x"])
  func refusals(text: String) {
    #expect(Self.verdict(RedisCommand("INCR", "k"), Self.serverError(text)) == "pause")
    #expect(Self.verdict(RedisCommand("INCR", "k"), Self.serverError(text), remaining: .milliseconds(1)) == "fail serverError")
  }

  @Test("Other errors are final")
  func serverErrors() {
    #expect(Self.verdict(RedisCommand("INCR", "k").idempotent, Self.serverError("WRONGTYPE x")) == "fail serverError")
    #expect(Self.verdict(RedisCommand("EVALSHA", "abc", 0), Self.serverError("NOSCRIPT x")) == "fail serverError")
    #expect(Self.verdict(.evaluate(RedisScript("return 1"), keys: []), Self.serverError("NOSCRIPT x")) == "source")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.timedOut(isWritten: true))) == "fail timedOut unknown")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.timedOut(isWritten: false))) == "fail timedOut")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.cancelled)) == "cancelled")
    #expect(Self.verdict(RedisCommand("INCR", "k"), .failed(.overloaded)) == "fail overloaded")
  }

  @Test("Once an attempt may have been executed, a later failure says so")
  func memory() {
    var policy = RetryPolicy(RedisCommand("GET", "k").idempotent)
    _ = policy.judge(.failed(.lost(Self.lost)), remaining: .seconds(1), random: 0)
    #expect(policy.unreachable(Self.lost).code == .unknownOutcome)
    #expect(Self.describe(policy.judge(.failed(.timedOut(isWritten: false)), remaining: .zero, random: 0)) == "fail timedOut unknown")
  }

  @Test("Pauses grow, and are spread")
  func pauses() {
    var policy = RetryPolicy(RedisCommand("GET", "k"))
    var pauses: [Duration] = []
    for random in [0.0, 0.0, 0.5, 1.0] {
      if case .pause(let pause) = policy.judge(Self.serverError("LOADING"), remaining: .seconds(9), random: random) { pauses.append(pause) }
    }
    #expect(pauses == [.milliseconds(5), .milliseconds(10), .milliseconds(30), .milliseconds(80)])
  }

  @Test("The last pause leaves time for a reply, and a refusal is reported even if no further reply arrives")
  func lastPause() {
    var policy = RetryPolicy(RedisCommand("GET", "k"))
    for _ in 0..<9 { _ = policy.judge(Self.serverError("LOADING x"), remaining: .seconds(9), random: 0.5) }
    guard case .pause(let pause) = policy.judge(Self.serverError("LOADING x"), remaining: .milliseconds(200), random: 0.5) else {
      Issue.record("no pause")
      return
    }
    #expect(pause == .milliseconds(150))
    guard case .fail(let error) = policy.judge(.failed(.timedOut(isWritten: true)), remaining: .zero, random: 0.5) else {
      Issue.record("no failure")
      return
    }
    #expect(error.code == .timedOut)
    #expect(error.serverCode == "LOADING")
  }

  @Test("A server that stops accepting writes is left, and the command is repeated on the next connection")
  func readOnly() {
    #expect(Self.verdict(RedisCommand("INCR", "k"), Self.serverError("READONLY You can't write against a read only replica.")) == "leave")
    #expect(Self.verdict(RedisCommand("INCR", "k"), Self.serverError("READONLY x"), remaining: .zero) == "fail serverError")
  }

  @Test("In a cluster redirections are followed, at once until servers redirect the command back and forth")
  func redirections() {
    var policy = RetryPolicy(RedisCommand("INCR", "k"), followsRedirections: true)
    let verdicts = ["MOVED 5 a:1", "ASK 5 b:1", "MOVED 5 a:1", "MOVED 5 b:1"].map { text in
      Self.describe(policy.judge(Self.serverError(text), remaining: .seconds(1), random: 0.5))
    }
    #expect(verdicts == ["moved 5", "ask 5", "moved 5", "moved 5 after a pause"])
    #expect(Self.describe(policy.judge(Self.serverError("MOVED nonsense"), remaining: .seconds(1), random: 0.5)) == "fail serverError")
  }

  @Test("A redirection without an address that persists until the time-out is an error that names the settings")
  func redirectionWithoutAddress() {
    var policy = RetryPolicy(RedisCommand("GET", "k"), followsRedirections: true)
    guard case .fail(let error) = policy.judge(Self.serverError("ASK 5 ?:1"), remaining: .zero, random: 0) else {
      Issue.record("a redirection is followed after the time-out")
      return
    }
    #expect(error.message.contains("cluster-announce-hostname"))
    #expect(error.serverMessage == "ASK 5 ?:1")
  }

  @Test("Elsewhere a redirection is an error that names the setting")
  func unexpectedRedirection() {
    var policy = RetryPolicy(RedisCommand("GET", "k"))
    guard case .fail(let error) = policy.judge(Self.serverError("MOVED 5 a:1"), remaining: .seconds(1), random: 0) else {
      Issue.record("a redirection is followed without a cluster")
      return
    }
    #expect(error.message.contains("Redis Cluster"))
    #expect(error.serverCode == "MOVED")
  }
}
