import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Ports of the loopback address that nothing listens on.
///
/// They lie below the ports that systems give to outgoing connections: no client's socket can take the port of a server that is down for a
/// moment. A server in cluster mode also listens 10,000 above its port, which is kept free as well.
package enum LoopbackPort {
  private static let candidates = 10_000..<22_768
  private static let clusterBusOffset = 10_000
  /// What this process has handed out; two servers of one test never get the same port.
  private static let taken = Mutex<Set<Int>>([])

  /// A free port.
  ///
  /// Another process may be quicker to take it; whoever starts a server on it tries again with another one then.
  package static func free() throws -> Int {
    for _ in 0..<1_000 {
      let port = Int.random(in: candidates)
      guard taken.withLock({ $0.insert(port).inserted }) else { continue }
      if canBind(port), canBind(port + clusterBusOffset) { return port }
    }
    throw ProcessFailure("there is no free port in \(candidates)")
  }

  /// Calls the start of one or several servers again, with other ports, as long as it fails since somebody took a port that was free.
  package static func retrying<Value>(
    isolation: isolated (any Actor)? = #isolation, _ start: () async throws -> Value
  ) async throws -> Value {
    for _ in 0..<5 {
      do {
        return try await start()
      } catch let failure as RedisServer.Failure where failure.description.contains("Address already in use") {
        continue
      }
    }
    return try await start()
  }

  private static func canBind(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var reuse: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
    }
  }
}
