import NIOCore
import ParallaxAPI
import Synchronization

@testable import ParallaxServer

/// Accepts agents, optionally echoes their messages, and records events.
final class RecordingGateway: AgentGateway {
  enum Event: Equatable {
    case opened
    case received(String)
    case ticked
    case refused(String)
    case answered(UInt64)
    case closed(AgentCloseReason)
  }

  struct Record {
    var handshakes: [AgentHandshake] = []
    var connections: [any AgentConnection] = []
    var events: [Event] = []
    var drains = 0
  }

  private let record = Mutex(Record())
  private let refusal: APIError?
  private let reply: @Sendable (any AgentConnection, ByteBuffer) -> Void
  private let changes: AsyncStream<Event>
  private let changed: AsyncStream<Event>.Continuation

  init(refusal: APIError? = nil, reply: @escaping @Sendable (any AgentConnection, ByteBuffer) -> Void = { _, _ in }) {
    self.refusal = refusal
    self.reply = reply
    (changes, changed) = AsyncStream.makeStream()
  }

  static func echo() -> RecordingGateway {
    RecordingGateway { connection, message in connection.send(message) }
  }

  var handshakes: [AgentHandshake] { record.withLock { $0.handshakes } }
  var connections: [any AgentConnection] { record.withLock { $0.connections } }
  var events: [Event] { record.withLock { $0.events } }
  /// The number of times that a connection has drained.
  var drains: Int { record.withLock { $0.drains } }
  var closeReasons: [AgentCloseReason] {
    events.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }
  }

  /// Returns after a matching event, including one before the call.
  func waitFor(_ matches: @Sendable (Event) -> Bool) async {
    if events.contains(where: matches) { return }
    for await event in changes where matches(event) { return }
  }

  func accept(_ handshake: AgentHandshake, on connection: any AgentConnection) -> Result<any AgentMessageHandler, APIError> {
    record.withLock { $0.handshakes.append(handshake) }
    if let refusal { return .failure(refusal) }
    record.withLock { $0.connections.append(connection) }
    return .success(Handler(gateway: self, connection: connection))
  }

  fileprivate func note(_ event: Event) {
    record.withLock { $0.events.append(event) }
    changed.yield(event)
  }

  private final class Handler: AgentMessageHandler {
    let gateway: RecordingGateway
    let connection: any AgentConnection

    init(gateway: RecordingGateway, connection: any AgentConnection) {
      self.gateway = gateway
      self.connection = connection
    }

    func opened() { gateway.note(.opened) }

    func received(_ message: ByteBuffer) {
      gateway.note(.received(String(buffer: message)))
      gateway.reply(connection, message)
    }

    func tick(at now: NIODeadline, silence: TimeAmount) { gateway.note(.ticked) }

    func answered(_ ping: UInt64) { gateway.note(.answered(ping)) }

    func drained() { gateway.record.withLock { $0.drains += 1 } }

    func refused(_ beginning: ByteBuffer) { gateway.note(.refused(String(buffer: beginning))) }

    func closed(_ reason: AgentCloseReason) { gateway.note(.closed(reason)) }
  }
}
