package import ParallaxAPI

extension ExecutionFailure {
  /// The codes by which the control plane tells its own decisions; retries, restorations and answers depend on them.
  ///
  /// Codes that only describe, such as `TASK_FAILED` or `MESSAGE_TOO_LARGE`, may come from an agent as well.
  private static let reservedCodes: Set = ["AGGREGATION_FAILED", "NO_AGENTS", "NO_CONSENSUS", "STORE_UNAVAILABLE", "TIMEOUT"]

  private var hasReservedCode: Bool {
    code == TaskRecord.lost || code == TaskRecord.left || code.hasPrefix("\(TaskRecord.lost)_") || Self.reservedCodes.contains(code)
  }

  /// The failure as it counts if an agent reports it: a code that is reserved for the control plane gets the prefix `TASK_`.
  package var ofAgent: ExecutionFailure {
    hasReservedCode ? ExecutionFailure(code: "TASK_\(code)", message: message, details: details) : self
  }
}
