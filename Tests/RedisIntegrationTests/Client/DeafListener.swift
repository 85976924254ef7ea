import Glibc
import TestSupport

/// A port that is listened on by somebody who never takes a connection.
final class DeafListener: Sendable {
  let port: Int
  private let descriptors: [Int32]

  /// - Parameter isFull: Whether the system takes no further connections on the listener's behalf either, and leaves attempts unanswered.
  /// - Throws: If the port cannot be listened on.
  init(isFull: Bool) throws {
    port = try LoopbackPort.free()
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    func open(_ flags: Int32, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | flags, 0)
      withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
      }
      return descriptor
    }
    let listener = open(0) { bind($0, $1, $2) }
    guard listen(listener, isFull ? 0 : 16) == 0 else {
      throw ProcessFailure("cannot listen on \(port): \(String(cString: strerror(errno)))")
    }
    // A backlog of 0 has room for one.
    let fillers = isFull ? (0..<4).map { _ in open(Int32(SOCK_NONBLOCK.rawValue)) { connect($0, $1, $2) } } : []
    descriptors = [listener] + fillers
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}
