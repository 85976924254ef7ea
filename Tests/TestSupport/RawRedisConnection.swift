import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// A reply of a Redis server.
package enum RawRedisReply: Sendable, Equatable {
  case string(String)
  case integer(Int)
  case array([RawRedisReply])
  case error(String)
  case null

  /// The text of a string or a number; nil for any other reply.
  package var text: String? {
    switch self {
    case .string(let text): text
    case .integer(let number): "\(number)"
    case .array, .error, .null: nil
    }
  }

  /// The value of a number or a numeric string; nil for any other reply.
  package var number: Int? { text.flatMap { Int($0) } }

  /// The elements of an array; empty for any other reply.
  package var elements: [RawRedisReply] {
    if case .array(let elements) = self { elements } else { [] }
  }

  /// The texts of an array's elements.
  package var texts: [String] { elements.compactMap(\.text) }

  /// The fields of a flat array of names and values, as from `HGETALL` and `SENTINEL MASTER`.
  package var fields: [String: String] {
    let elements = elements
    let pairs = stride(from: 0, to: elements.count - 1, by: 2).compactMap { index -> (String, String)? in
      guard let name = elements[index].text, let value = elements[index + 1].text else { return nil }
      return (name, value)
    }
    return Dictionary(pairs) { first, _ in first }
  }
}

/// A blocking connection to a server's Unix socket, independent of the client under test.
///
/// The socket never uses TLS, even if the server's port does.
package final class RawRedisConnection {
  /// A command with an error as its reply, or without a reply.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  private let descriptor: Int32
  private var received: [UInt8] = []
  /// The number of received bytes that have been parsed.
  private var position = 0

  /// Opens a connection.
  ///
  /// - Parameters:
  ///   - path: The path of the socket.
  ///   - patience: The time-out of a send or a reply; 5 s by default.
  /// - Throws: `Failure` if no server listens on the socket.
  package init(path: String, patience: Duration = .seconds(5)) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var limit = timeval(
      tv_sec: Int(patience.components.seconds), tv_usec: Int(patience.components.attoseconds / 1_000_000_000_000))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw Failure(description: "\(path) is too long for a Unix socket; a shorter TMPDIR would do")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard code == 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// Sends a command and returns its reply.
  ///
  /// - Throws: `Failure` also for a reply that is an error.
  @discardableResult
  package func command(_ arguments: String...) throws -> RawRedisReply { try command(arguments) }

  /// Sends a command and returns its reply.
  ///
  /// - Throws: `Failure` also for a reply that is an error.
  @discardableResult
  package func command(_ arguments: [String]) throws -> RawRedisReply {
    try pipeline([arguments])[0]
  }

  /// Sends commands at once and returns their replies.
  ///
  /// - Throws: `Failure` also if any reply is an error, after all were read.
  @discardableResult
  package func pipeline(_ commands: [[String]]) throws -> [RawRedisReply] {
    let replies = try replies(to: commands)
    for (command, reply) in zip(commands, replies) {
      if case .error(let message) = reply { throw Failure(description: "\(command.prefix(2).joined(separator: " ")): \(message)") }
    }
    return replies
  }

  /// Sends a command and returns its reply, which may be an error.
  package func reply(to arguments: String...) throws -> RawRedisReply { try reply(to: arguments) }

  /// Sends a command and returns its reply, also one that is an error.
  package func reply(to arguments: [String]) throws -> RawRedisReply { try replies(to: [arguments])[0] }

  private func replies(to commands: [[String]]) throws -> [RawRedisReply] {
    let text = commands.map { arguments in
      "*\(arguments.count)\r\n" + arguments.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
    }.joined()
    try write(Array(text.utf8))
    return try commands.map { _ in try readReply() }
  }

  private func write(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure(description: "cannot send: \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  private func readReply() throws -> RawRedisReply {
    let line = try readLine()
    let rest = String(line.dropFirst())
    switch line.first {
    case "+": return .string(rest)
    case "-": return .error(rest)
    case ":": return .integer(try number(rest))
    case "$":
      let length = try number(rest)
      return length < 0 ? .null : .string(String(decoding: try read(length + 2).dropLast(2), as: UTF8.self))
    case "*":
      let count = try number(rest)
      return count < 0 ? .null : .array(try (0..<count).map { _ in try readReply() })
    default: throw Failure(description: "not a reply: \(line)")
    }
  }

  private func number(_ text: String) throws -> Int {
    guard let number = Int(text) else { throw Failure(description: "not a number: \(text)") }
    return number
  }

  private func readLine() throws -> String {
    while true {
      if let end = received[position...].firstIndex(of: UInt8(ascii: "\n")) {
        return String(decoding: try read(end + 1 - position).dropLast(2), as: UTF8.self)
      }
      try receive()
    }
  }

  private func read(_ count: Int) throws -> ArraySlice<UInt8> {
    while received.count - position < count { try receive() }
    position += count
    return received[(position - count)..<position]
  }

  private func receive() throws {
    received.removeFirst(position)
    position = 0
    var chunk = [UInt8](repeating: 0, count: 16_384)
    var count = recv(descriptor, &chunk, chunk.count, 0)
    while count < 0, errno == EINTR { count = recv(descriptor, &chunk, chunk.count, 0) }
    guard count != 0 else { throw Failure(description: "the server closed the connection") }
    guard count > 0 else { throw Failure(description: "no reply: \(String(cString: strerror(errno)))") }
    received += chunk[..<count]
  }
}
