/// The difference between the settings in force and others: which apply to a running node, and which need a restart.
package struct ConfigurationChange: Sendable, Equatable {
  /// The settings that are in force after the change: the others' where a reload suffices, else the former ones.
  package private(set) var result: NodeConfiguration
  /// The paths of the keys that change without a restart, without their values, which may be secrets.
  package private(set) var applied: [String] = []
  /// The paths of the changed keys that need a restart.
  package private(set) var postponed: [String] = []

  /// Compares two configurations.
  ///
  /// - Throws: All violations, if the settings that can change do not go together with those that cannot.
  init(from former: NodeConfiguration, to next: NodeConfiguration) throws(ConfigurationError) {
    result = former
    for key in ConfigurationKeys.all where key.text(former) != key.text(next) {
      if key.isReloadable {
        key.copy(next, &result)
        applied.append(key.path)
      } else {
        postponed.append(key.path)
      }
    }
    // A file that is empty for a moment must not open the node to everybody.
    if former.security.authentication != NodeConfiguration.Authentication(),
      result.security.authentication == NodeConfiguration.Authentication()
    {
      result.security.authentication = former.security.authentication
      let isKept = { (path: String) in path.hasPrefix("security.authentication.") }
      postponed += applied.filter(isKept)
      applied.removeAll(where: isKept)
    }
    try ConfigurationRelation.check(result)
  }
}
