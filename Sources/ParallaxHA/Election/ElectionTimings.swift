/// The durations of an election, checked at initialization.
///
/// Two relations keep them safe and live:
///
/// - `leaseDuration / (renewDeadline + stopBudget) > (1 + δ) / (1 − δ)`, with δ the ``clockRateError``: else a node whose clock runs fast
///   could lead before one whose clock runs slow has stopped;
/// - `1.2 × retryPeriod + callTimeout + 2 round trips < renewDeadline`: else one hung call to the store could cost the leader its term.
///
/// All nodes of an election should run the same durations.
public struct ElectionTimings: Sendable, Hashable {
  /// How long the other nodes wait for a silent leader.
  public let leaseDuration: Duration
  /// How long a leader leads after it sent its last acknowledged renewal.
  public let renewDeadline: Duration
  /// How long a leader waits between renewals, and a standby between reads; up to a fifth is added at random.
  public let retryPeriod: Duration
  /// How long cancelled duties may take to end.
  public let stopBudget: Duration
  /// How long one call to the store may take before its outcome counts as unknown.
  public let callTimeout: Duration
  /// The maximum deviation of the rate of any node's clock: 0.05 is five percent.
  public let clockRateError: Double

  /// The allowance for a round trip to the store.
  package static let roundTrip: Duration = .milliseconds(50)

  /// 15 s, 10 s and 2 s, the durations of Kubernetes components.
  public static let standard = ElectionTimings(
    unchecked: .seconds(15), .seconds(10), .seconds(2), stopBudget: .milliseconds(1_500), callTimeout: .milliseconds(2_500),
    clockRateError: 0.05)

  /// Creates timings from a lease, in the proportions 15 : 10 : 2.
  ///
  /// - Parameter leaseDuration: How long the other nodes wait for a silent leader; at least about 310 ms.
  /// - Throws: ``ElectionError`` with `invalidTimings`, which names the violated relation and its values.
  public init(leaseDuration: Duration) throws(ElectionError) {
    try self.init(leaseDuration: leaseDuration, renewDeadline: leaseDuration * 10 / 15, retryPeriod: leaseDuration * 2 / 15)
  }

  /// Creates timings.
  ///
  /// - Parameters:
  ///   - leaseDuration: How long the other nodes wait for a silent leader; at most a day.
  ///   - renewDeadline: How long a leader leads after it sent its last acknowledged renewal.
  ///   - retryPeriod: How long to wait between renewals and between reads.
  ///   - stopBudget: How long cancelled duties may take; `nil`, the default, is a tenth of the lease.
  ///   - callTimeout: How long one call to the store may take; `nil`, the default, is a quarter of `renewDeadline`.
  ///   - clockRateError: The maximum deviation of the rate of any node's clock, from 0 to below 1.
  /// - Throws: ``ElectionError`` with `invalidTimings`, which names the violated relation and its values.
  public init(
    leaseDuration: Duration, renewDeadline: Duration, retryPeriod: Duration, stopBudget: Duration? = nil, callTimeout: Duration? = nil,
    clockRateError: Double = 0.05
  ) throws(ElectionError) {
    self.init(
      unchecked: leaseDuration, renewDeadline, retryPeriod, stopBudget: stopBudget, callTimeout: callTimeout, clockRateError: clockRateError
    )
    try checkBounds()
    try checkRelations()
  }

  /// Creates timings that may violate the relations, to check them, and to simulate the consequences.
  package init(
    unchecked leaseDuration: Duration, _ renewDeadline: Duration, _ retryPeriod: Duration, stopBudget: Duration? = nil,
    callTimeout: Duration? = nil, clockRateError: Double = 0.05
  ) {
    self.leaseDuration = leaseDuration
    self.renewDeadline = renewDeadline
    self.retryPeriod = retryPeriod
    self.stopBudget = stopBudget ?? leaseDuration / 10
    self.callTimeout = callTimeout ?? renewDeadline / 4
    self.clockRateError = clockRateError
  }

  /// How long the next term is reserved for the node that a step down names.
  public var reservation: Duration { renewDeadline }

  /// How long a leader that was asked to hand over lets the others go first.
  public var cooldown: Duration { leaseDuration }

  /// The minimum ratio of the lease to `renewDeadline + stopBudget`, given clocks of different rates.
  package var leaseRatio: Double { (1 + clockRateError) / (1 - clockRateError) }

  /// Whether every node has stopped before another can lead.
  package var isLeaseLongEnough: Bool { leaseDuration / (renewDeadline + stopBudget) > leaseRatio }

  /// The minimum of `renewDeadline`: the time to the next renewal, one hung call and two round trips.
  package var renewalTime: Duration { retryPeriod * 1.2 + callTimeout + Self.roundTrip * 2 }

  /// Whether a leader keeps its term when one call to the store hangs.
  package var isRenewDeadlineLongEnough: Bool { renewalTime < renewDeadline }

  private func checkBounds() throws(ElectionError) {
    let durations = [
      ("leaseDuration", leaseDuration), ("renewDeadline", renewDeadline), ("retryPeriod", retryPeriod), ("callTimeout", callTimeout),
    ]
    for (name, duration) in durations where duration <= .zero || duration > ElectionRecord.maximumDuration {
      throw ElectionError(.invalidTimings, "\(name) is \(duration); it must be more than zero and at most a day")
    }
    guard stopBudget >= .zero else { throw ElectionError(.invalidTimings, "stopBudget is \(stopBudget); it must not be negative") }
    guard (0..<1).contains(clockRateError) else {
      throw ElectionError(.invalidTimings, "clockRateError is \(clockRateError); it must be from 0 to below 1")
    }
  }

  private func checkRelations() throws(ElectionError) {
    guard isLeaseLongEnough else {
      throw ElectionError(
        .invalidTimings,
        """
        leaseDuration / (renewDeadline + stopBudget) must be more than (1 + clockRateError) / (1 − clockRateError), so that no node leads \
        before another has stopped: \(leaseDuration) / (\(renewDeadline) + \(stopBudget)) is not more than \(leaseRatio)
        """)
    }
    guard isRenewDeadlineLongEnough else {
      throw ElectionError(
        .invalidTimings,
        """
        1.2 × retryPeriod + callTimeout + 2 round trips must be less than renewDeadline, so that one hung call does not cost the term: \
        1.2 × \(retryPeriod) + \(callTimeout) + \(Self.roundTrip * 2) is not less than \(renewDeadline)
        """)
    }
  }
}
