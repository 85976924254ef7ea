import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A failure of the HTTP server.
package struct HTTPServerError: Error, CustomStringConvertible {
  /// A kind of failure.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    private let name: String

    package var description: String { name }

    /// The server cannot listen on the address.
    package static let bindFailed = Code(name: "bindFailed")
  }

  package let code: Code
  /// The failure and its remedy.
  package let message: String
  /// The error of the system.
  package let cause: any Error

  package var description: String { message }

  /// The failure to listen on an address, with its remedy.
  static func bindFailed(host: String, port: Int, _ cause: any Error) -> HTTPServerError {
    let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    let reason: String
    // The text that NIO makes of the error names a function of the system, and has a parenthesis too many.
    switch (cause as? IOError)?.errnoCode {
    case EADDRINUSE: reason = "Address already in use; stop the process that listens there, or set another server.port"
    case EACCES: reason = "Permission denied; set server.port to 1024 or more, or give the process the capability CAP_NET_BIND_SERVICE"
    case EADDRNOTAVAIL: reason = "this machine has no such address; set server.host to one that it has, or to 0.0.0.0 for all"
    case let code?: reason = "\(String(cString: strerror(code))); set server.host and server.port"
    case nil: reason = "\(cause); set server.host and server.port"
    }
    return HTTPServerError(code: .bindFailed, message: "cannot listen on \(address): \(reason)", cause: cause)
  }
}
