import NIOCore
import NIOSSL

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A TLS failure with a hint at its cause.
struct TLSFault: Error, CustomStringConvertible {
  let description: String

  /// - Parameters:
  ///   - error: The error of the TLS library.
  ///   - host: The server's name in the configuration.
  ///   - certificate: The server's certificate, if it has sent one.
  init(_ error: any Error, host: String, certificate: NIOSSLCertificate?) {
    if error as? NIOSSLExtraError == .failedToValidateHostname {
      description = "the server's certificate does not name \(host)"
      return
    }
    let reason = Self.reason(error)
    let explanation =
      switch reason {
      case "CERTIFICATE_VERIFY_FAILED": Self.distrust(certificate)
      case _ where reason.hasSuffix("ALERT_CERTIFICATE_REQUIRED"):
        "the server requires a client certificate, and none is configured"
      case _ where Self.refusals.contains { reason.hasSuffix("ALERT_\($0)") }: "the server refuses the client certificate"
      case "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "EOF during handshake": "the server does not seem to use TLS on this port"
      default: "client and server cannot agree"
      }
    description = "\(explanation) (\(reason))"
  }

  private static let refusals = [
    "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED", "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA",
    "ACCESS_DENIED",
  ]

  /// The library's name of an error, without the numbers and source locations around it.
  private static func reason(_ error: any Error) -> String {
    let text = "\(error)"
    if text.contains("EOF during handshake") { return "EOF during handshake" }
    guard let start = text.firstRange(of: "OPENSSL_internal:")?.upperBound else { return text }
    return String(text[start...].prefix { $0.isUppercase || $0.isNumber || $0 == "_" })
  }

  private static func distrust(_ certificate: NIOSSLCertificate?) -> String {
    if let certificate {
      let end = Date(timeIntervalSince1970: TimeInterval(certificate.notValidAfter))
      let start = Date(timeIntervalSince1970: TimeInterval(certificate.notValidBefore))
      if end < .now { return "the server's certificate has expired, on \(end.formatted(.iso8601))" }
      if start > .now { return "the server's certificate is not valid before \(start.formatted(.iso8601)): check the clocks" }
    }
    return "the server's certificate is not signed by an authority that the client trusts"
  }
}

/// Stands behind the TLS handler and explains its errors.
final class TLSFaultHandler: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  private let host: String

  init(host: String) {
    self.host = host
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError else { return context.fireErrorCaught(error) }
    let certificate = try? context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self).peerCertificate
    context.fireErrorCaught(TLSFault(error, host: host, certificate: certificate))
  }
}
