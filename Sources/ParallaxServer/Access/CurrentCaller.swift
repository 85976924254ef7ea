import Synchronization

/// Who has sent a request, and from where.
struct Caller: Sendable {
  let principal: Principal
  /// The client's address without the port, as trusted proxies tell it; nil for the peer's own.
  var forwardedAddress: String?
}

/// The caller of the request that a connection's router answers.
///
/// The event loop sets it before the router receives the request. A connection has one request at a time, so the router reads that of its
/// own request.
final class CurrentCaller: Sendable {
  private let caller: Mutex<Caller>

  init(_ principal: Principal) {
    caller = Mutex(Caller(principal: principal))
  }

  var value: Caller {
    get { caller.withLock { $0 } }
    set { caller.withLock { $0 = newValue } }
  }
}
