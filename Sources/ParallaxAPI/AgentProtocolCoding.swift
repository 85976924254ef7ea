#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A decoded message of an agent, with the id that its answer repeats.
public struct ReceivedAgentMessage: Sendable, Hashable {
  /// The id that the answer repeats; nil if the message has none.
  public var id: String?
  /// The message.
  public var message: AgentMessage

  /// Makes a received message.
  public init(id: String?, message: AgentMessage) {
    self.id = id
    self.message = message
  }
}

extension AgentMessage {
  /// The kinds of messages, with the `type` of each.
  public enum Kind: String, Sendable, CaseIterable {
    /// `register`.
    case register
    /// `task_result`.
    case taskResult = "task_result"
    /// `task_error`.
    case taskError = "task_error"
    /// `task_cancelled_ack`.
    case taskCancelledAck = "task_cancelled_ack"
    /// `heartbeat`.
    case heartbeat
    /// `status_update`.
    case statusUpdate = "status_update"
    /// `disconnect`.
    case disconnect
  }

  /// The message's kind.
  public var kind: Kind {
    switch self {
    case .register: .register
    case .taskResult: .taskResult
    case .taskError: .taskError
    case .taskCancelledAck: .taskCancelledAck
    case .heartbeat: .heartbeat
    case .statusUpdate: .statusUpdate
    case .disconnect: .disconnect
    }
  }

  /// Decodes one text frame, in UTF-8.
  ///
  /// - Throws: `AgentProtocolFault` that describes the fault and its location.
  public static func decode(_ bytes: some Sequence<UInt8>) throws(AgentProtocolFault) -> ReceivedAgentMessage {
    do {
      let incoming = try JSON.decode(Incoming.self, from: bytes)
      return ReceivedAgentMessage(id: incoming.id, message: incoming.message)
    } catch let fault as AgentProtocolFault {
      throw fault
    } catch {
      throw AgentProtocolFault(id: nil, code: "INVALID_MESSAGE", message: APIError(decoding: error, of: "message").message)
    }
  }

  /// Encodes the message as a text frame from an agent, in UTF-8.
  ///
  /// - Throws: `EncodingError` if the message has a number that is not finite.
  public func encoded(id: String?, timestamp: Timestamp?) throws -> Data {
    func frame(_ payload: some Codable & Sendable) throws -> Data {
      try JSON.encode(AgentFrame(type: kind.rawValue, id: id, timestamp: timestamp, payload: payload))
    }
    return switch self {
    case .register(let payload): try frame(payload)
    case .taskResult(let payload): try frame(payload)
    case .taskError(let payload): try frame(payload)
    case .taskCancelledAck(let payload): try frame(payload)
    case .heartbeat(let payload): try frame(payload)
    case .statusUpdate(let payload): try frame(payload)
    case .disconnect(let payload): try frame(payload)
    }
  }

  private struct Incoming: Decodable {
    enum CodingKeys: String, CodingKey { case type, id, payload }
    struct Empty: Decodable {}

    var id: String?
    var message: AgentMessage

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      id = try container.decodeIfPresent(String.self, forKey: .id)
      let type = try container.decode(String.self, forKey: .type)
      guard let kind = Kind(rawValue: type) else {
        let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        throw AgentProtocolFault(
          id: id, code: "UNKNOWN_TYPE", message: "unknown message type \"\(type.prefix(64))\"; expected one of \(known)")
      }
      do {
        func payload<Payload: Decodable>(_ type: Payload.Type) throws -> Payload { try container.decode(type, forKey: .payload) }
        message =
          switch kind {
          case .register: .register(try payload(Register.self))
          case .taskResult: .taskResult(try payload(TaskResult.self))
          case .taskError: .taskError(try payload(TaskError.self))
          case .taskCancelledAck: .taskCancelledAck(try payload(TaskCancelledAck.self))
          case .heartbeat: .heartbeat(try container.decodeIfPresent(Heartbeat.self, forKey: .payload) ?? Heartbeat())
          case .statusUpdate: .statusUpdate(try payload(StatusUpdate.self))
          case .disconnect: .disconnect(try container.decodeIfPresent(Disconnect.self, forKey: .payload) ?? Disconnect())
          }
      } catch {
        throw AgentProtocolFault(id: id, code: "INVALID_MESSAGE", message: APIError(decoding: error, of: type).message)
      }
    }
  }
}

/// A fault in an agent's message, for the `error` that answers it.
public struct AgentProtocolFault: Error, Sendable, Hashable {
  /// The id of the faulty message; nil if it has none or cannot be decoded.
  public var id: String?
  /// The code: `INVALID_MESSAGE` or `UNKNOWN_TYPE`.
  public var code: String
  /// A description of the fault and its location, for people.
  public var message: String

  /// Makes a fault.
  public init(id: String?, code: String, message: String) {
    self.id = id
    self.code = code
    self.message = message
  }
}

extension ControlPlaneMessage {
  /// The kinds of messages, with the `type` of each.
  public enum Kind: String, Sendable, CaseIterable {
    /// `registered`.
    case registered
    /// `task`.
    case task
    /// `task_cancelled`.
    case taskCancelled = "task_cancelled"
    /// `heartbeat_ack`.
    case heartbeatAck = "heartbeat_ack"
    /// `result_ack`.
    case resultAck = "result_ack"
    /// `reconnect`.
    case reconnect
    /// `error`.
    case error
  }

  /// The message's kind.
  public var kind: Kind {
    switch self {
    case .registered: .registered
    case .task: .task
    case .taskCancelled: .taskCancelled
    case .heartbeatAck: .heartbeatAck
    case .resultAck: .resultAck
    case .reconnect: .reconnect
    case .error: .error
    }
  }

  /// Encodes the message as a text frame from the control plane, in UTF-8.
  ///
  /// - Throws: `EncodingError` if the message has a number that is not finite.
  public func encoded(id: String?, timestamp: Timestamp?) throws -> Data {
    Data(try frame(id: id, timestamp: timestamp))
  }

  /// Decodes a text frame from the control plane, in UTF-8.
  ///
  /// - Returns: The message, and the id of the message that it answers; nil if it has none.
  /// - Throws: An error that describes the location of the fault if the frame is not valid JSON or not a known message.
  public static func decode(_ bytes: some Sequence<UInt8>) throws -> (id: String?, message: ControlPlaneMessage) {
    let incoming = try JSON.decode(Incoming.self, from: bytes, depthLimit: JSON.documentDepthLimit)
    return (incoming.id, incoming.message)
  }

  private struct Incoming: Decodable {
    enum CodingKeys: String, CodingKey { case type, id, payload }

    var id: String?
    var message: ControlPlaneMessage

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      id = try container.decodeIfPresent(String.self, forKey: .id)
      func payload<Payload: Decodable>(_ type: Payload.Type) throws -> Payload { try container.decode(type, forKey: .payload) }
      let type = try container.decode(String.self, forKey: .type)
      message =
        switch Kind(rawValue: type) {
        case .registered: .registered(try payload(Registered.self))
        case .task: .task(try payload(Task.self))
        case .taskCancelled: .taskCancelled(try payload(TaskCancelled.self))
        case .heartbeatAck: .heartbeatAck(try payload(HeartbeatAck.self))
        case .resultAck: .resultAck(try payload(ResultAck.self))
        case .reconnect: .reconnect(try payload(Reconnect.self))
        case .error: .error(try payload(ProtocolError.self))
        case nil:
          throw DecodingError.dataCorruptedError(forKey: .type, in: container, debugDescription: "unknown message type \"\(type)\"")
        }
    }
  }
}
