/// The settings by which nodes observe each other.
public struct MembershipSettings: Sendable, Hashable {
  /// The interval of a node's writes and reads; 5 s by default, from 10 ms to 10 min.
  public let checkInterval: Duration

  /// The limit of one call of the store; 3 s by default, above zero and at most 10 min.
  public let timeout: Duration

  /// The number of silent intervals after which a member is unhealthy; 3 by default, from 1 to 100.
  public let unhealthyThreshold: Int

  /// Creates settings.
  ///
  /// - Parameters:
  ///   - checkInterval: The interval of a node's writes and reads.
  ///   - timeout: The limit of one call of the store.
  ///   - unhealthyThreshold: The number of silent intervals after which a member is unhealthy.
  /// - Throws: ``MembershipError`` with `invalidSettings`, which names a value out of bounds and its bounds.
  public init(
    checkInterval: Duration = .seconds(5), timeout: Duration = .seconds(3), unhealthyThreshold: Int = 3
  ) throws(MembershipError) {
    let longest = Duration.seconds(600)
    guard checkInterval >= .milliseconds(10), checkInterval <= longest else {
      throw MembershipError(.invalidSettings, "checkInterval is \(checkInterval); it must be from 10 ms to 10 minutes")
    }
    guard timeout > .zero, timeout <= longest else {
      throw MembershipError(.invalidSettings, "timeout is \(timeout); it must be above zero and at most 10 minutes")
    }
    guard (1...100).contains(unhealthyThreshold) else {
      throw MembershipError(.invalidSettings, "unhealthyThreshold is \(unhealthyThreshold); it must be from 1 to 100")
    }
    self.checkInterval = checkInterval
    self.timeout = timeout
    self.unhealthyThreshold = unhealthyThreshold
  }

  /// The silence after which a member is unhealthy, `unhealthyThreshold` × `checkInterval`; the first read after it detects it.
  public var detectionWindow: Duration { checkInterval * unhealthyThreshold }
}
