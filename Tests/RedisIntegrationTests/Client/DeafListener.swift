import TestSupport

#if canImport(Glibc)
import Glibc
#endif

/// A listening port whose owner never accepts a connection.
final class DeafListener: Sendable {
  let port: Int
  private let descriptors: [Int32]

  /// - Parameter isFull: Whether the system accepts no further connections for the listener either, so that attempts get no answer.
  /// - Throws: `ProcessFailure` if the system provides no port.
  init(isFull: Bool) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)

    func opened(_ use: (Int32, UnsafeMutablePointer<sockaddr>) -> Int32) -> (descriptor: Int32, code: Int32) {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      let code = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { use(descriptor, $0) }
      }
      return (descriptor, code)
    }

    let listener = opened { descriptor, address in
      // A backlog of 0 has room for one.
      guard bind(descriptor, address, size) == 0, listen(descriptor, isFull ? 0 : 16) == 0 else { return -1 }
      return getsockname(descriptor, address, &size)
    }
    guard listener.code == 0 else { throw ProcessFailure("cannot listen: \(String(cString: strerror(errno)))") }
    port = Int(in_port_t(bigEndian: address.sin_port))
    let fillers = isFull ? (0..<4).map { _ in opened { connect($0, $1, size) }.descriptor } : []
    descriptors = [listener.descriptor] + fillers
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}
