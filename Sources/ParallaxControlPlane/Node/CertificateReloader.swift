import Logging
import ParallaxConcurrency
import ParallaxServer
import ServiceLifecycle
import Synchronization

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

  /// The contents that are in force, or were refused.
  private final class Seen: Sendable {
    let contents: Mutex<[Data]?>

    init(_ contents: [Data]?) {
      self.contents = Mutex(contents)
    }
  }

  private let certificates: ServerCertificates
  private let tls: ServerTLS
  private let seen: Seen
  private let clock: MonotonicClock
  private let logger: Logger

  init(certificates: ServerCertificates, tls: ServerTLS, clock: MonotonicClock, logger: Logger) {
    self.certificates = certificates
    self.tls = tls
    self.clock = clock
    self.logger = logger
    seen = Seen(certificates.contents)
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await every(Self.interval, clock: clock, startsAtOnce: false) { look() }
    }
  }

  /// Reads the files, and uses them if they have changed.
  func look() {
    let contents = certificates.contents
    let isChanged = seen.contents.withLock { seen in
      defer { seen = contents }
      return seen != contents
    }
    guard isChanged else { return }
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
