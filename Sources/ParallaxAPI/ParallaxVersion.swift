/// The version of this package.
public enum ParallaxVersion {
  /// The version, after Semantic Versioning.
  public static let current = "0.1.0"
}
