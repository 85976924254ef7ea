/// Finds misspelled variables: a name with the prefix of the configuration's variables that is none of them, but close to one.
///
/// Other names with the prefix may be anybody's: of other programs of this project, of the user's own scripts, or the links that Kubernetes
/// makes for services such as `parallax-redis`. A name beside the one that it resembles is no misspelling, nor is a numbered one, or one
/// for an address or a unique id (`PARALLAX_NODE_IP`).
enum EnvironmentNames {
  static let prefix = "PARALLAX_"

  /// The variables of the command line tool and of the project's other programs.
  private static let others: Set<String> = [
    "PARALLAX_CONFIG", "PARALLAX_SERVER", "PARALLAX_API_KEY", "PARALLAX_CA", "PARALLAX_CERTIFICATE", "PARALLAX_PRIVATE_KEY",
    "PARALLAX_WITNESS_DESCRIPTOR",
  ]

  /// Finds the misspelled variables.
  ///
  /// - Parameters:
  ///   - environment: The names of the variables that are set.
  ///   - text: The configuration file, which may refer to any variable as `${NAME}`.
  /// - Returns: Each with the name that was meant.
  static func misspelled(in environment: some Sequence<String>, referredToBy text: String?) -> [(name: String, meant: String)] {
    let known = Set(ConfigurationKeys.all.compactMap(\.environment)).union(["PARALLAX_CONFIG"])
    let environment = Set(environment)
    return environment.filter { $0.hasPrefix(prefix) && !known.contains($0) && !others.contains($0) && !isServiceLink($0) }
      .filter { text?.contains("${\($0)}") != true && $0.firstMatch(of: /([0-9]|_IP|_UID)$/) == nil }.sorted()
      .compactMap { name in nearest(to: name, among: known).flatMap { environment.contains($0) ? nil : (name, $0) } }
  }

  private static func nearest(to name: String, among known: Set<String>) -> String? {
    // A name of this length is no typing error.
    guard name.utf8.count <= 128 else { return nil }
    let word = Array(name.uppercased().dropFirst(prefix.count).utf8)
    let limit = word.count <= 5 ? 1 : 2
    let distances = known.map { (NearestKey.distance(word, Array($0.dropFirst(prefix.count).utf8)), $0) }
    guard let nearest = distances.min(by: <), nearest.0 <= limit else { return nil }
    return nearest.1
  }

  /// Whether Kubernetes makes such a variable for a service: `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_PORT`, `…_PORT_6379_TCP_ADDR`.
  private static func isServiceLink(_ name: String) -> Bool {
    name.wholeMatch(of: /PARALLAX_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)/)
      != nil || name.wholeMatch(of: /PARALLAX_[A-Z0-9_]+_PORT/) != nil
  }
}
