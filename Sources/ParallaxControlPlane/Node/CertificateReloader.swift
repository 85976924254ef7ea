import Logging
import ParallaxConcurrency
import ParallaxServer
import ServiceLifecycle

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Replaces the server's certificates when their files change, so that a renewal needs no restart.
///
/// Unusable files leave the certificates in force: a file that is being written, or a certificate without its key, may be complete at the
/// next look.
struct CertificateReloader: Service {
  static let interval: Duration = .seconds(5)

  /// The files as they were seen last.
  struct Seen {
    /// The contents that are in force, or were refused.
    var contents: [Data]?
  }

  let certificates: ServerCertificates
  let tls: ServerTLS
  let clock: MonotonicClock
  let logger: Logger

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var seen = Seen(contents: certificates.contents)
      await every(Self.interval, clock: clock, startsAtOnce: false) { look(&seen) }
    }
  }

  /// Reads the files, and uses them if they have changed.
  func look(_ seen: inout Seen) {
    let contents = certificates.contents
    guard contents != seen.contents else { return }
    seen.contents = contents
    do {
      try tls.replace(certificates.settings())
      logger.notice("certificates reloaded", metadata: ["file": "\(certificates.certificate.path)"])
    } catch {
      logger.error(
        "the changed certificates cannot be used; those in force stay",
        metadata: ["file": "\(certificates.certificate.path)", "error": "\(error)"])
    }
  }
}
