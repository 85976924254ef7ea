import Synchronization

/// The principal of the request that a connection's router answers.
///
/// The event loop sets it before the router receives the request. A connection has one request at a time, so the router reads that of its
/// own request.
final class CurrentPrincipal: Sendable {
  private let principal: Mutex<Principal>

  init(_ principal: Principal) {
    self.principal = Mutex(principal)
  }

  var value: Principal {
    get { principal.withLock { $0 } }
    set { principal.withLock { $0 = newValue } }
  }
}
