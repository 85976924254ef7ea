import NIOCore

extension ByteBuffer {
  /// The values as a server would send them in RESP3.
  init(encoding values: some Sequence<RESPValue>) {
    self.init()
    for value in values { write(value) }
  }

  private mutating func write(_ value: RESPValue) {
    switch value {
    case .simpleString(let text): writeLine("+", text)
    case .bigNumber(let text): writeLine("(", text)
    case .bulkString(let text): writeText("$", text)
    case .error(let text): writeText("!", text)
    case .verbatimString(let text):
      var body = ByteBuffer(string: "txt:")
      body.writeImmutableBuffer(text)
      writeText("=", body)
    case .integer(let value): writeString(":\(value)\r\n")
    case .double(let value): writeString(",\(value.isNaN ? .nan : value)\r\n")
    case .boolean(let value): writeString(value ? "#t\r\n" : "#f\r\n")
    case .null: writeString("_\r\n")
    case .array(let elements): writeAggregate("*", elements.count, elements)
    case .set(let elements): writeAggregate("~", elements.count, elements)
    case .map(let elements): writeAggregate("%", elements.count / 2, elements)
    case .push(let elements): writeAggregate(">", elements.count, elements)
    }
  }

  private mutating func writeLine(_ type: String, _ text: ByteBuffer) {
    writeString(type)
    writeImmutableBuffer(text)
    writeString("\r\n")
  }

  private mutating func writeText(_ type: String, _ text: ByteBuffer) {
    writeString("\(type)\(text.readableBytes)\r\n")
    writeImmutableBuffer(text)
    writeString("\r\n")
  }

  private mutating func writeAggregate(_ type: String, _ count: Int, _ elements: [RESPValue]) {
    writeString("\(type)\(count)\r\n")
    for element in elements { write(element) }
  }
}
