/// The version of this package.
///
/// `Scripts/version.py` keeps the chart, the manifests, the image and the pages at this version.
public enum ParallaxVersion {
  /// The version, after Semantic Versioning.
  public static let current = "0.1.0"

  /// What `--version` prints: the version, with the commit where the program knows it.
  package static func text(commit: String?) -> String {
    commit.map { "\(current) (commit \($0))" } ?? current
  }
}
