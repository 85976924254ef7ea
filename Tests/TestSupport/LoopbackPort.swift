import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Free ports of the loopback address.
///
/// The ports lie below those of outgoing connections, so that no client's socket can take the port of a server that is temporarily down.
/// The port 10,000 above is free as well, for the bus of a server in cluster mode.
package enum LoopbackPort {
  private static let candidates = 10_000..<22_768
  private static let clusterBusOffset = 10_000
  /// The ports that this process has handed out, so that two servers never get the same one.
  private static let taken = Mutex<Set<Int>>([])

  /// A free port.
  ///
  /// Another process may take the port before the caller does; see ``retrying(_:)``.
  package static func free() throws -> Int {
    for _ in 0..<1_000 {
      let port = Int.random(in: candidates)
      guard taken.withLock({ $0.insert(port).inserted }) else { continue }
      if canBind(port), canBind(port + clusterBusOffset) { return port }
    }
    throw ProcessFailure("there is no free port in \(candidates)")
  }

  /// Retries the start of one or more servers, with other ports, while it fails because another process has taken a port.
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
