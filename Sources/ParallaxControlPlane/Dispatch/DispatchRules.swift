/// Rules of `DispatchMachine` that were missing once, each to be left out in a test that must then fail.
///
/// The default is the whole of the rules; nothing but tests makes any other.
package struct DispatchRules: Sendable, Hashable {
  /// A rule that is missing.
  package enum Defect: String, Sendable, CaseIterable {
    /// An execution that is claimed gives way to what the node holds of an earlier epoch.
    case keepsEarlierEpoch
    /// What an agent gave to a node that is not the owner any more is dropped.
    case dropsOutcomes
    /// What the node drives is not read again, neither now and then nor after a pause.
    case neverReadsAgain
    /// The owner decides without the outcomes that others have recorded.
    case overlooksRecordings
    /// A task is sent again without a look whether its outcome is recorded.
    case sendsAgainUnread
    /// A load is told once, when it changes.
    case tellsLoadsOnce
  }

  /// What is missing of these rules.
  package var defects: Set<Defect>

  package init(without defects: Set<Defect> = []) {
    self.defects = defects
  }

  func lacks(_ defect: Defect) -> Bool { defects.contains(defect) }
}
