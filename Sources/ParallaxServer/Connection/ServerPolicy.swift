import Synchronization

/// The rules of a server that a reload replaces; one value of them is in force at a time.
final class ServerPolicy: Sendable {
  let access: AccessGuard
  /// `limits.requestsPerMinute`; nil without a limit.
  let limiter: SharedRateLimiter?
  let accessLog: AccessLog

  init(access: AccessGuard, limiter: SharedRateLimiter?, accessLog: AccessLog) {
    self.access = access
    self.limiter = limiter
    self.accessLog = accessLog
  }
}

/// `limits.requestBody`, in bytes, which a reload changes.
final class RequestBodyLimit: Sendable {
  private let bytes: Atomic<Int>

  init(_ bytes: Int) {
    self.bytes = Atomic(bytes)
  }

  var value: Int {
    get { bytes.load(ordering: .relaxed) }
    set { bytes.store(newValue, ordering: .relaxed) }
  }
}
