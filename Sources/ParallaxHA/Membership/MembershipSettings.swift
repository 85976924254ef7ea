/// How nodes watch each other.
public struct MembershipSettings: Sendable, Hashable {
  /// How often a node writes its own field and reads the others'; 5 s by default, 10 ms to 10 min.
  public let checkInterval: Duration

  /// How long one call of the store may take; 3 s by default, above zero and at most 10 min.
  public let timeout: Duration

  /// After how many intervals without a sign of life a member is unhealthy; 3 by default, 1 to 100.
  public let unhealthyThreshold: Int

  /// Makes settings.
  ///
  /// - Parameters:
  ///   - checkInterval: How often a node writes and reads.
  ///   - timeout: How long one call of the store may take.
  ///   - unhealthyThreshold: How many silent intervals make a member unhealthy.
  /// - Throws: ``MembershipError`` with `invalidSettings` naming the value and its bounds if a value is out of bounds.
  public init(
    checkInterval: Duration = .seconds(5), timeout: Duration = .seconds(3), unhealthyThreshold: Int = 3
  ) throws(MembershipError) {
    let longest = Duration.seconds(600)
    guard checkInterval >= .milliseconds(10), checkInterval <= longest else {
      throw MembershipError(.invalidSettings, "checkInterval is \(checkInterval); it has to be between 10 ms and 10 minutes")
    }
    guard timeout > .zero, timeout <= longest else {
      throw MembershipError(.invalidSettings, "timeout is \(timeout); it has to be above zero and at most 10 minutes")
    }
    guard (1...100).contains(unhealthyThreshold) else {
      throw MembershipError(.invalidSettings, "unhealthyThreshold is \(unhealthyThreshold); it has to be between 1 and 100")
    }
    self.checkInterval = checkInterval
    self.timeout = timeout
    self.unhealthyThreshold = unhealthyThreshold
  }

  /// The silence that makes a member unhealthy, `unhealthyThreshold` × `checkInterval`; the first read after it notices.
  public var detectionWindow: Duration { checkInterval * unhealthyThreshold }
}
