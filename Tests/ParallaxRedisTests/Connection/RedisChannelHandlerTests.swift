import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import ParallaxRedis

/// A connection in a channel without a socket, on a clock that the test moves.
@Suite("Channel handler", .timeLimit(.minutes(1)))
struct RedisChannelHandlerTests {
  private final class PushLog: Sendable {
    private let lines = Mutex<[String]>([])
    func append(_ value: RESPValue) {
      lines.withLock { $0.append(value.errorMessage ?? value.array?.compactMap(\.string).joined(separator: " ") ?? "?") }
    }
    var all: [String] { lines.withLock { $0 } }
  }

  /// Breaks the connection during a write, as SwiftNIO does when the socket refuses the bytes.
  private final class BreakingHandler: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      promise?.fail(ChannelError.ioOnClosedChannel)
      context.fireChannelInactive()
    }
  }

  private let channel = NIOAsyncTestingChannel()
  private let inbox: ConnectionInbox
  private let handler: NIOLoopBound<RedisChannelHandler>
  private let connection: RedisConnection
  private let pushes = PushLog()

  init() async throws {
    inbox = ConnectionInbox(maximumCommands: 40, maximumBytes: 1 << 20, now: channel.testingEventLoop.now)
    handler = try await channel.testingEventLoop.executeInContext { [channel, inbox, pushes] in
      let handler = RedisChannelHandler(
        settings: .init(
          limits: RESPLimits(), stallTimeout: .seconds(1), keepAliveInterval: .seconds(5),
          onPush: { value in
            pushes.append(value)
            return value.errorMessage?.hasPrefix("MISCONF") != true
          }),
        inbox: inbox, metrics: RedisMetrics(), executor: nil, eventLoop: channel.eventLoop,
        closed: channel.eventLoop.makePromise(of: RedisError.self))
      try channel.pipeline.syncOperations.addHandler(handler)
      return NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }
    connection = RedisConnection(
      to: .host("127.0.0.1", port: 1), handler: handler, inbox: inbox,
      closed: channel.eventLoop.makeSucceededFuture(RedisError(.shutDown, message: "")))
    try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1))
  }

  private func receive(_ text: String) async throws {
    try await channel.writeInbound(ByteBuffer(string: text))
  }

  private func written() async throws -> String {
    String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
  }

  private static func describe(_ outcome: CommandOutcome) -> String {
    switch outcome {
    case .reply(let value): value.string ?? "a reply without text"
    case .failed(.timedOut(let isWritten)): "timed out, \(isWritten ? "written" : "unwritten")"
    case .failed(.lost(let error)): "lost: \(error.code)"
    case .failed(.notSent(let error)): "not sent: \(error.code)"
    case .failed(.unreachable(let error)): "unreachable: \(error.code)"
    case .failed(.cancelled): "cancelled"
    case .failed(.overloaded): "overloaded"
    }
  }

  private func execute(_ name: String, timeout: TimeAmount = .seconds(10)) async -> String {
    Self.describe(await connection.execute(RedisCommand(name), timeout: timeout))
  }

  /// Sends a command; its bytes have been written when the call returns.
  private func begin(_ name: String, timeout: TimeAmount = .seconds(10)) async throws -> Task<String, Never> {
    let task = Task { await execute(name, timeout: timeout) }
    #expect(try await written() == "*1\r\n$1\r\n\(name)\r\n")
    return task
  }

  @Test("Commands of one tick leave in one write, at most thirty-two at a time")
  func coalescing() async throws {
    try await channel.testingEventLoop.executeInContext { [handler] in
      for _ in 0..<36 { handler.value.submit(CollectionOfOne(RedisCommand("A")), id: 0, waiter: .probe, timeout: .seconds(1)) }
    }
    await channel.testingEventLoop.run()
    let command = "*1\r\n$1\r\nA\r\n"
    #expect(try await written() == String(repeating: command, count: 32))
    #expect(try await written() == String(repeating: command, count: 4))
    #expect(try await channel.readOutbound(as: ByteBuffer.self) == nil)
  }

  @Test("Replies reach their commands, in chunks of any size")
  func fragments() async throws {
    let first = try await begin("A")
    let second = try await begin("B")
    for piece in ["+o", "ne\r", "\n$3\r\nt", "wo\r\n"] { try await receive(piece) }
    #expect(await first.value == "one")
    #expect(await second.value == "two")
  }

  @Test("A pipeline gets all its replies")
  func pipeline() async throws {
    let task = Task { await connection.execute([RedisCommand("A"), RedisCommand("B")], timeout: .seconds(10)) }
    #expect(try await written() == "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n")
    try await receive(":1\r\n")
    try await receive("-ERR two\r\n")
    let outcome = await task.value
    #expect(outcome.failure == nil)
    #expect(outcome.replies == [.integer(1), .error(ByteBuffer(string: "ERR two"))])
  }

  @Test("A pipeline that times out keeps the replies that arrived, and late ones are dropped")
  func latePipeline() async throws {
    let task = Task { await connection.execute([RedisCommand("A"), RedisCommand("B")], timeout: .milliseconds(500)) }
    _ = try await written()
    try await receive(":1\r\n")
    await channel.testingEventLoop.advanceTime(by: .milliseconds(500))
    let outcome = await task.value
    #expect(outcome.replies == [.integer(1)])
    guard case .timedOut(isWritten: true)? = outcome.failure else {
      Issue.record("the pipeline did not time out")
      return
    }
    let next = try await begin("C")
    try await receive(":2\r\n+mine\r\n")
    #expect(await next.value == "mine")
  }

  @Test("A late reply is dropped, and the connection stays in use")
  func lateReply() async throws {
    let slow = try await begin("A", timeout: .milliseconds(100))
    await channel.testingEventLoop.advanceTime(by: .milliseconds(100))
    #expect(await slow.value == "timed out, written")
    let next = try await begin("B")
    try await receive("+late\r\n+mine\r\n")
    #expect(await next.value == "mine")
    #expect(channel.isActive)
  }

  @Test("Silence beyond the time-out ends the connection, and written commands have an unknown outcome")
  func stall() async throws {
    let first = try await begin("A", timeout: .milliseconds(100))
    let second = try await begin("B", timeout: .seconds(10))
    await channel.testingEventLoop.advanceTime(by: .milliseconds(999))
    #expect(await first.value == "timed out, written")
    #expect(channel.isActive)
    await channel.testingEventLoop.advanceTime(by: .milliseconds(1))
    #expect(await second.value == "lost: timedOut")
    #expect(!channel.isActive)
    #expect(await execute("C") == "not sent: timedOut")
  }

  @Test("An idle connection is probed, and ended if it does not answer")
  func probe() async throws {
    let ping = "*1\r\n$4\r\nPING\r\n"
    await channel.testingEventLoop.advanceTime(by: .seconds(5))
    #expect(try await written() == ping)
    try await receive("+PONG\r\n")
    await channel.testingEventLoop.advanceTime(by: .seconds(5))
    #expect(try await written() == ping)
    #expect(channel.isActive)
    await channel.testingEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test("The refusal of a subscription is not the reply to a pending probe, and a probe may be refused itself")
  func refusalBeforeProbe() async throws {
    let ping = "*1\r\n$4\r\nPING\r\n"
    await channel.testingEventLoop.advanceTime(by: .seconds(5))
    #expect(try await written() == ping)
    try await receive("-NOPERM no\r\n")
    try await receive("+PONG\r\n")
    #expect(channel.isActive)
    await channel.testingEventLoop.advanceTime(by: .seconds(5))
    #expect(try await written() == ping)
    try await receive("-MISCONF the disk is full\r\n")
    #expect(channel.isActive)
    #expect(pushes.all == ["NOPERM no", "MISCONF the disk is full"])
    let next = try await begin("A")
    try await receive("+mine\r\n")
    #expect(await next.value == "mine")
  }

  @Test("A command that is written after its deadline is not reported as unwritten")
  func lateWrite() async throws {
    let outcome = await withUnsafeContinuation { continuation in
      channel.testingEventLoop.execute { [handler] in
        handler.value.submit(
          CollectionOfOne(RedisCommand("A")), id: 1, waiter: .command(continuation, name: "A"), timeout: .nanoseconds(0))
      }
      Task { await channel.testingEventLoop.run() }
    }
    #expect(Self.describe(outcome) == "timed out, written")
    #expect(try await written() == "*1\r\n$1\r\nA\r\n")
  }

  @Test("A deadline counts from now, even after a long pipeline without replies")
  func clockAfterPipeline() async throws {
    let long = Array(repeating: RedisCommand("A"), count: 32)
    async let replies = withUnsafeContinuation { continuation in
      channel.testingEventLoop.execute { [handler] in
        handler.value.submit(long, id: 1, waiter: .pipeline(continuation, commands: long), timeout: .seconds(20))
      }
    }
    while !inbox.isBusy {
      await channel.testingEventLoop.run()
      await Task.yield()
    }
    await channel.testingEventLoop.advanceTime(by: .milliseconds(900))
    _ = try await written()
    let outcome = await withUnsafeContinuation { continuation in
      channel.testingEventLoop.execute { [handler] in
        handler.value.submit(
          CollectionOfOne(RedisCommand("B")), id: 2, waiter: .command(continuation, name: "B"), timeout: .milliseconds(500))
      }
      Task {
        await channel.testingEventLoop.advanceTime(by: .milliseconds(200))
        try await receive(String(repeating: "+a\r\n", count: 32) + "+mine\r\n")
      }
    }
    #expect(Self.describe(outcome) == "mine")
    #expect(await replies.replies.count == 32)
  }

  @Test("A command beyond the capacity of a buffer is refused, and earlier commands are not affected")
  func immense() async throws {
    let part = [UInt8](repeating: 0, count: 64 << 20)
    let immense = RedisCommand("RPUSH", arguments: Array(repeating: RedisArgument(part), count: 64))
    #expect(Self.describe(await connection.execute(immense, timeout: .seconds(1))) == "overloaded")
    let outcome = await connection.execute([RedisCommand("A"), immense], timeout: .seconds(1))
    guard case .overloaded? = outcome.failure else {
      Issue.record("\(outcome)")
      return
    }
    let next = try await begin("B")
    try await receive("+b\r\n")
    #expect(await next.value == "b")
  }

  @Test("A cancelled command's reply is dropped")
  func cancellation() async throws {
    let cancelled = try await begin("A")
    let next = try await begin("B")
    cancelled.cancel()
    #expect(await cancelled.value == "cancelled")
    try await receive("+one\r\n+two\r\n")
    #expect(await next.value == "two")
  }

  @Test("A command of a cancelled task gets no reply")
  func cancelledBefore() async throws {
    let gate = AsyncStream<Void>.makeStream()
    let task = Task {
      for await _ in gate.stream {}
      return await execute("A")
    }
    task.cancel()
    #expect(await task.value == "cancelled")
  }

  @Test("Pushes of both protocols are passed on, and replace no reply")
  func pushing() async throws {
    let task = try await begin("A")
    try await receive(">3\r\n+message\r\n+c\r\n+resp3\r\n*3\r\n+message\r\n+c\r\n+resp2\r\n+mine\r\n")
    #expect(await task.value == "mine")
    #expect(pushes.all == ["message c resp3", "message c resp2"])
  }

  @Test(
    "The connection to a peer that violates the protocol is closed",
    arguments: [("?", "lost: protocolViolation"), ("+a\r\n+b\r\n", "a")])
  func violations(bytes: String, outcome: String) async throws {
    let task = try await begin("A")
    try await receive(bytes)
    #expect(await task.value == outcome)
    #expect(!channel.isActive)
  }

  @Test("A connection that breaks during a write fails the commands of the batch")
  func breakingWrite() async throws {
    try await channel.testingEventLoop.executeInContext { [channel] in
      try channel.pipeline.syncOperations.addHandler(BreakingHandler(), position: .first)
    }
    let outcome = await withUnsafeContinuation { continuation in
      channel.testingEventLoop.execute { [handler, inbox] in
        handler.value.submit(CollectionOfOne(RedisCommand("A")), id: 1, waiter: .probe, timeout: .seconds(1))
        _ = inbox.submit(CollectionOfOne(RedisCommand("B")), id: 2, waiter: .command(continuation, name: "B"), timeout: .seconds(1))
        handler.value.drainInbox()
      }
    }
    #expect(Self.describe(outcome) == "not sent: connectionFailed")
  }

  @Test("More commands than are allowed in flight are refused")
  func overload() async throws {
    let commands = Array(repeating: RedisCommand("A"), count: 40)
    let task = Task { await connection.execute(commands, timeout: .seconds(10)) }
    _ = try await written()
    #expect(await execute("B") == "overloaded")
    try await receive(String(repeating: "+a\r\n", count: 40))
    #expect(await task.value.replies.count == 40)
    let next = try await begin("C")
    try await receive("+c\r\n")
    #expect(await next.value == "c")
  }

  @Test("Draining refuses new commands, and awaits the replies in flight")
  func draining() async throws {
    let task = try await begin("A")
    connection.drain(within: .seconds(3), reason: RedisError(.shutDown, message: "over"))
    await channel.testingEventLoop.run()
    #expect(await execute("B") == "not sent: shutDown")
    #expect(channel.isActive)
    try await receive("+done\r\n")
    #expect(await task.value == "done")
    #expect(!channel.isActive)
  }

  @Test("A task may still be cancelled while its connection drains")
  func cancellationWhileDraining() async throws {
    let task = try await begin("A")
    connection.drain(within: .seconds(3), reason: RedisError(.shutDown, message: "over"))
    await channel.testingEventLoop.run()
    task.cancel()
    #expect(await task.value == "cancelled")
    #expect(channel.isActive)
  }

  @Test("Draining does not await replies forever")
  func drainingInVain() async throws {
    let task = try await begin("A")
    connection.drain(within: .milliseconds(300), reason: RedisError(.shutDown, message: "over"))
    await channel.testingEventLoop.advanceTime(by: .milliseconds(300))
    #expect(await task.value == "lost: shutDown")
    #expect(!channel.isActive)
  }
}
