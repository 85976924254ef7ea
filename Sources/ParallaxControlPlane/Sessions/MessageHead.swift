import ParallaxAPI

/// The ids of an agent's message that cannot be decoded, or of which only the beginning is known.
///
/// The scan needs no valid JSON: it follows only quotes and brackets, and takes strings without escapes. The first of several members with
/// one name counts.
struct MessageHead: Sendable, Hashable {
  /// The type of the message.
  var type: String?
  /// The id of the message.
  var id: String?
  /// The member `taskId` of the payload, if it may be an id of a task.
  var taskID: String?
  /// The member `executionId` of the payload, if it may be an id of an execution.
  var executionID: String?

  /// Whether the message may be the answer to a task.
  var mayBeAnswer: Bool { type.map(Self.answers.contains) ?? true }

  /// Whether the message is the answer to a task.
  var isAnswer: Bool { type.map(Self.answers.contains) ?? false }

  private static let answers = Set([AgentMessage.Kind.taskResult, .taskError].map(\.rawValue))
  private static let lengthLimit = 128

  /// Scans a message, or its beginning, in time linear in its length.
  init(_ bytes: some Sequence<UInt8>) {
    var scanner = Scanner()
    for byte in bytes { scanner.take(byte) }
    self = scanner.head
  }

  private init() {}

  private mutating func note(_ value: [UInt8], of name: [UInt8], inPayload: Bool) {
    let text = String(decoding: value, as: UTF8.self)
    switch (String(decoding: name, as: UTF8.self), inPayload) {
    case ("type", false): type = type ?? text
    case ("id", false): id = id ?? text
    case ("taskId", true) where Self.isID(value): taskID = taskID ?? text
    case ("executionId", true) where Self.isID(value): executionID = executionID ?? text
    default: break
    }
  }

  private static func isID(_ value: [UInt8]) -> Bool { !value.isEmpty && value.allSatisfy(PatternDefinition.isNameByte) }

  private struct Scanner {
    var head = MessageHead()
    private var depth = 0
    /// Whether the member `payload` is being read.
    private var isInPayload = false
    /// The string being read, or the last one; nil if it has an escape, is too long for an id, or lies too deep.
    private var text: [UInt8]? = []
    private var isInString = false
    private var isEscaped = false
    /// The name of the member whose value follows.
    private var name: [UInt8]?

    mutating func take(_ byte: UInt8) {
      if isInString { return takeInString(byte) }
      switch byte {
      case UInt8(ascii: "\""): (isInString, text) = (true, depth <= 2 ? [] : nil)
      case UInt8(ascii: ":"): name = text
      case UInt8(ascii: ","): name = nil
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        if depth == 1 { isInPayload = byte == UInt8(ascii: "{") && name.map { $0.elementsEqual("payload".utf8) } == true }
        depth += 1
        name = nil
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        name = nil
      default: break
      }
    }

    private mutating func takeInString(_ byte: UInt8) {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        (isEscaped, text) = (true, nil)
      } else if byte == UInt8(ascii: "\"") {
        isInString = false
        guard let name, let text, depth == 1 || depth == 2 && isInPayload else { return }
        head.note(text, of: name, inPayload: depth == 2)
      } else if let count = text?.count {
        if count < MessageHead.lengthLimit { text?.append(byte) } else { text = nil }
      }
    }
  }
}
