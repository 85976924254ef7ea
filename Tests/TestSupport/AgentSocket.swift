import Foundation
import NIOCore
import NIOPosix
package import ParallaxAPI

/// The agent's side of a WebSocket connection at the level of frames, which can also violate the protocol.
package struct AgentSocket {
  /// A frame from the node, or the end of the connection.
  package enum Received: Sendable, Hashable {
    case text(String)
    case close(code: UInt16?)
    /// The connection ended without a close frame.
    case end
  }

  /// The opcodes of RFC 6455.
  package enum Opcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
  }

  /// A handshake that the node refused.
  package struct Refused: Error, Sendable {
    /// The head of the response with the bytes that followed.
    package let response: String
  }

  private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  /// The sending half, which other tasks may use while this one receives.
  package let sender: Sender
  private var buffer = ByteBuffer()

  /// The sending half of a connection.
  package struct Sender: Sendable {
    fileprivate let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  }

  /// Opens a connection, passes it to the body, and closes it.
  ///
  /// A connection still open after the limit is closed, so that the wait for a message that never comes fails its test in time.
  package static func withConnection<Result: Sendable>(
    port: Int, headers: [String: String] = [:], within limit: Duration = .seconds(60), _ body: (inout AgentSocket) async throws -> Result
  ) async throws -> Result {
    let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(host: "127.0.0.1", port: port) {
      channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    let end = channel.channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { [channel = channel.channel] in channel.close(promise: nil) }
    defer { end.cancel() }
    return try await channel.executeThenClose { inbound, outbound in
      var socket = AgentSocket(inbound: inbound.makeAsyncIterator(), sender: Sender(outbound: outbound))
      try await socket.shakeHands(port: port, headers: headers)
      return try await body(&socket)
    }
  }

  /// Opens a connection, registers an agent, passes it to the body, and breaks the connection.
  ///
  /// The agent has no tasks unless `activeTasks` lists some.
  package static func withAgent<Result: Sendable>(
    _ id: String, at node: ParallaxdProcess, capability: String = "analysis", places: Int = 1, maxMessageSize: Int? = nil,
    activeTasks: [String] = [], process: String? = nil, within limit: Duration = .seconds(40),
    _ body: (inout AgentSocket) async throws -> Result
  ) async throws -> Result {
    try await withConnection(port: node.port, headers: ["X-Agent-Id": id], within: limit) { agent in
      let config = AgentMessage.Register.Config(maxConcurrentTasks: places, maxMessageSize: maxMessageSize)
      let registration = AgentMessage.Register(
        capabilities: [capability], config: config, activeTasks: activeTasks, process: process)
      try await agent.send(.register(registration), id: "register")
      _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
      return try await body(&agent)
    }
  }

  /// Receives the next task; skips other messages.
  package mutating func receiveTask() async throws -> ControlPlaneMessage.Task { try await receive("task") }

  /// Sends the result of a task, and waits for its acknowledgement.
  package mutating func completeAcknowledged(_ task: ControlPlaneMessage.Task, with result: JSONValue) async throws {
    try await complete(task, with: result)
    while try await receive("result_ack", ControlPlaneMessage.ResultAck.self).taskId != task.taskId {}
  }

  /// The types of all messages that the node has sent before it answers a heartbeat.
  package mutating func receivedTypes(activeTasks: [String]) async throws -> [String] {
    try await send(.heartbeat(.init(activeTasks: .array(activeTasks.map { .string($0) }))), id: "heartbeat")
    var types: [String] = []
    while case .text(let text) = try await receive() {
      let type = try JSON.decode(FrameHead.self, from: text).type
      if type == "heartbeat_ack" { return types }
      types.append(type)
    }
    throw ProcessFailure("the connection ended before the answer to a heartbeat, after \(types)")
  }

  /// Sends the result of a task.
  package func complete(_ task: ControlPlaneMessage.Task, with result: JSONValue) async throws {
    try await sender.complete(task, with: result)
  }

  /// Sends a message of the agent protocol.
  package func send(_ message: AgentMessage, id: String) async throws {
    try await sender.send(message, id: id)
  }

  /// Sends a text frame of any content.
  package func send(text: String) async throws {
    try await sender.send(.text, Array(text.utf8))
  }

  /// Sends one frame.
  ///
  /// The announced length may differ from that of the payload.
  package func send(_ opcode: Opcode, _ payload: [UInt8], final: Bool = true, masked: Bool = true, announcedLength: Int? = nil) async throws
  {
    try await sender.send(opcode, payload, final: final, masked: masked, announcedLength: announcedLength)
  }

  /// Receives the next text or close frame; skips pings and pongs.
  package mutating func receive() async throws -> Received {
    while true {
      if let (opcode, payload) = nextFrame() {
        switch opcode {
        case Opcode.text.rawValue: return .text(String(buffer: payload))
        case Opcode.close.rawValue: return .close(code: payload.getInteger(at: payload.readerIndex))
        default: continue
        }
      }
      guard try await read() else { return .end }
    }
  }

  /// Waits for a ping, and skips messages; false if the node closes instead.
  package mutating func receivePing() async throws -> Bool {
    while true {
      if let (opcode, _) = nextFrame() {
        if opcode == Opcode.ping.rawValue { return true }
        if opcode == Opcode.close.rawValue { return false }
      } else if try await !read() {
        return false
      }
    }
  }

  /// Receives the payload of the next message of a type; skips other messages.
  package mutating func receive<Payload: Codable & Sendable>(_ type: String, _ payload: Payload.Type = Payload.self) async throws -> Payload
  {
    while true {
      guard case .text(let text) = try await receive() else { throw ProcessFailure("the connection ended before a message `\(type)`") }
      if try JSON.decode(FrameHead.self, from: text).type == type {
        return try JSON.decode(AgentFrame<Payload>.self, from: text).payload
      }
    }
  }

  private mutating func shakeHands(port: Int, headers: [String: String]) async throws {
    var request = "GET /ws/agent HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    request += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for (name, value) in headers { request += "\(name): \(value)\r\n" }
    try await sender.outbound.write(ByteBuffer(string: request + "\r\n"))
    let end = Array("\r\n\r\n".utf8)
    while true {
      if let range = buffer.readableBytesView.firstRange(of: end) {
        let head = String(decoding: buffer.readableBytesView[..<range.lowerBound], as: UTF8.self)
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw Refused(response: String(buffer: buffer)) }
        buffer.moveReaderIndex(to: range.upperBound)
        return
      }
      guard try await read() else { throw Refused(response: String(buffer: buffer)) }
    }
  }

  private mutating func read() async throws -> Bool {
    guard var bytes = try await inbound.next(isolation: nil) else { return false }
    buffer.discardReadBytes()
    buffer.writeBuffer(&bytes)
    return true
  }

  /// Removes a whole frame from the buffer; a node's frames are neither masked nor fragmented.
  private mutating func nextFrame() -> (opcode: UInt8, payload: ByteBuffer)? {
    var rest = buffer
    guard let first = rest.readInteger(as: UInt8.self), let second = rest.readInteger(as: UInt8.self) else { return nil }
    var length = Int(second & 0x7f)
    if length == 126 {
      guard let long = rest.readInteger(as: UInt16.self) else { return nil }
      length = Int(long)
    } else if length == 127 {
      guard let long = rest.readInteger(as: UInt64.self) else { return nil }
      length = Int(long)
    }
    guard let payload = rest.readSlice(length: length) else { return nil }
    buffer = rest
    return (first & 0x0f, payload)
  }
}

extension AgentSocket.Sender {
  /// Sends the result of a task.
  package func complete(_ task: ControlPlaneMessage.Task, with result: JSONValue) async throws {
    try await send(.taskResult(.init(taskId: task.taskId, executionId: task.executionId, result: result)), id: task.taskId)
  }

  /// Sends a message of the agent protocol.
  package func send(_ message: AgentMessage, id: String) async throws {
    try await send(.text, Array(message.encoded(id: id, timestamp: nil)))
  }

  fileprivate func send(
    _ opcode: AgentSocket.Opcode, _ payload: [UInt8], final: Bool = true, masked: Bool = true, announcedLength: Int? = nil
  ) async throws {
    let length = announcedLength ?? payload.count
    let maskBit: UInt8 = masked ? 0x80 : 0
    var frame = ByteBuffer()
    frame.writeInteger((final ? 0x80 : 0) | opcode.rawValue)
    switch length {
    case ..<126: frame.writeInteger(maskBit | UInt8(length))
    case ..<65_536:
      frame.writeInteger(maskBit | 126)
      frame.writeInteger(UInt16(length))
    default:
      frame.writeInteger(maskBit | 127)
      frame.writeInteger(UInt64(length))
    }
    if masked {
      let key: [UInt8] = [0x12, 0x34, 0x56, 0x78]
      frame.writeBytes(key)
      frame.writeBytes(payload.enumerated().map { $0.element ^ key[$0.offset % 4] })
    } else {
      frame.writeBytes(payload)
    }
    try await outbound.write(frame)
  }
}

/// The fields that all messages of the protocol share.
private struct FrameHead: Decodable {
  var type: String
}
