import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Pipeline attempts")
struct PipelineAttemptTests {
  private static let lost = RedisError(.connectionFailed, message: "lost")

  private static func judge(_ attempt: inout PipelineAttempt, _ outcome: PipelineOutcome) -> [Result<RESPValue, RedisError>]? {
    let outcomes = outcome.outcomes(of: attempt.pending.count)
    return if case .done(let results) = attempt.judge(outcomes, remaining: .seconds(1), random: 0) { results } else { nil }
  }

  @Test("Replies of later attempts take their places")
  func places() throws {
    var attempt = PipelineAttempt([RedisCommand("A"), RedisCommand("B").idempotent, RedisCommand("C"), RedisCommand("D").idempotent])
    #expect(Self.judge(&attempt, PipelineOutcome(replies: [.integer(1)], failure: .lost(Self.lost))) == nil)
    #expect(attempt.pending.map(\.command.name) == ["B", "D"])
    let results = try #require(Self.judge(&attempt, PipelineOutcome(replies: [.integer(2), .integer(4)], failure: nil)))
    #expect(results.map { try? $0.get().int } == [1, 2, nil, 4])
    #expect(throws: RedisError.self) { try results[2].get() }
  }

  @Test("A script that the server lacks is sent again with its source, alone")
  func unknownScript() throws {
    let script = RedisScript("return 1")
    var attempt = PipelineAttempt([RedisCommand("A"), .evaluate(script, keys: ["k"], arguments: ["x"])])
    let missing = RESPValue.error(ByteBuffer(string: "NOSCRIPT No matching script."))
    guard
      case .again(let again) = attempt.judge([.reply(.integer(1)), .reply(missing)], remaining: .seconds(1), random: 0)
    else {
      Issue.record("the script is not sent again")
      return
    }
    #expect(again.unknownScripts == [script])
    #expect(attempt.pending.map(\.command.name) == ["EVAL"])
    #expect(attempt.pending.first?.command.arguments == [RedisArgument("return 1"), 1, "k", "x"])
  }

  @Test("No part of a transaction is sent twice, unless none was sent")
  func transaction() throws {
    let commands = [RedisCommand("MULTI"), RedisCommand("GET", "k").idempotent, RedisCommand("EXEC")]
    var lost = PipelineAttempt(commands)
    let results = try #require(Self.judge(&lost, PipelineOutcome(replies: [.integer(1)], failure: .lost(Self.lost))))
    #expect(results.map { (try? $0.get()) != nil } == [true, false, false])
    var unsent = PipelineAttempt(commands)
    #expect(Self.judge(&unsent, PipelineOutcome(replies: [], failure: .notSent(Self.lost))) == nil)
    #expect(unsent.pending.count == 3)
  }

  private static let queued = CommandOutcome.reply(.simpleString(ByteBuffer(string: "QUEUED")))

  private static func error(_ message: String) -> CommandOutcome { .reply(.error(ByteBuffer(string: message))) }

  private static func transaction(_ middle: RedisCommand...) -> PipelineAttempt {
    PipelineAttempt([RedisCommand("MULTI")] + middle + [RedisCommand("EXEC")], followsRedirections: true)
  }

  @Test("A transaction that the server refuses as a whole is repeated as a whole, at the server of its key")
  func refusedTransaction() throws {
    let slot = HashSlot.of("k")
    var moved = Self.transaction(RedisCommand("GET", "k"), RedisCommand("INCR", "k"))
    let refused = [Self.queued, Self.error("MOVED \(slot) h:1"), Self.error("MOVED \(slot) h:1"), Self.error("EXECABORT Discarded.")]
    guard case .again(let again) = moved.judge(refused, remaining: .seconds(1), random: 0) else {
      Issue.record("a transaction that has moved is not sent again")
      return
    }
    #expect(again.pause == .zero)
    #expect(moved.pending.map(\.command.name) == ["MULTI", "GET", "INCR", "EXEC"])
    #expect(moved.pending.compactMap(\.redirection).map(\.slot) == [slot])
    // The slot may also move between the last command and EXEC.
    for message in ["ASK \(slot) h:1", "TRYAGAIN Multiple keys.", "CLUSTERDOWN The cluster is down"] {
      var waiting = Self.transaction(RedisCommand("GET", "k"))
      guard case .again(let again) = waiting.judge([Self.queued, Self.queued, Self.error(message)], remaining: .seconds(1), random: 0)
      else {
        Issue.record("\(message) is not awaited")
        return
      }
      #expect(again.pause > .zero)
      #expect(waiting.pending.count == 3 && waiting.pending.allSatisfy { $0.redirection == nil })
    }
  }

  @Test("A transaction that was executed, is invalid or has keys of several slots is not repeated")
  func finalTransaction() throws {
    let elsewhere = "MOVED \(HashSlot.of("other")) h:1"
    let cases: [(PipelineAttempt, [CommandOutcome])] = [
      (Self.transaction(RedisCommand("GET", "k")), [Self.queued, Self.queued, .reply(.array([.error(ByteBuffer(string: "TRYAGAIN"))]))]),
      (Self.transaction(RedisCommand("GET", "k")), [Self.queued, Self.error("ERR wrong number"), Self.error("EXECABORT")]),
      (
        Self.transaction(RedisCommand("GET", "k"), RedisCommand("GET", "other")),
        [Self.queued, Self.queued, Self.error(elsewhere), Self.error("EXECABORT")]
      ),
      (
        PipelineAttempt(
          [RedisCommand("INCR", "k"), RedisCommand("MULTI"), RedisCommand("GET", "k"), RedisCommand("EXEC")], followsRedirections: true),
        [.reply(.integer(1)), Self.queued, Self.error("MOVED \(HashSlot.of("k")) h:1"), Self.error("EXECABORT")]
      ),
    ]
    for (attempt, outcomes) in cases {
      var attempt = attempt
      guard case .done(let results) = attempt.judge(outcomes, remaining: .seconds(1), random: 0) else {
        Issue.record("\(outcomes) is sent again")
        continue
      }
      #expect(results.count == outcomes.count)
    }
  }

  @Test("A WATCH and its UNWATCH stay together")
  func watching() {
    #expect(PipelineAttempt.isTransaction([RedisCommand("GET", "a"), RedisCommand("WATCH", "b"), RedisCommand("UNWATCH")]))
    #expect(!PipelineAttempt.isTransaction([RedisCommand("GET", "a")]))
  }

  @Test("Without a connection the remaining commands fail, and earlier replies are kept")
  func givingUp() {
    var attempt = PipelineAttempt([RedisCommand("A"), RedisCommand("B").idempotent])
    _ = Self.judge(&attempt, PipelineOutcome(replies: [.integer(1)], failure: .lost(Self.lost)))
    let results = attempt.giveUp(Self.lost)
    #expect((try? results[0].get()) == .integer(1))
    guard case .failure(let error) = results[1] else {
      Issue.record("a command without a reply succeeded")
      return
    }
    #expect(error.code == .unknownOutcome)
  }
}
