package import ParallaxAPI
package import ParallaxState
import Synchronization

/// Caches the patterns of the store.
///
/// A cached definition stays valid, because each execution carries the definition that it began with; the catalog reads only unknown
/// versions from the store.
package final class PatternCatalog: Sendable {
  private let store: any PatternStore
  private let known = Mutex<[String: [String: PatternDefinition]]>([:])

  package init(store: any PatternStore) {
    self.store = store
  }

  /// Stores a definition; returns whether its version is new.
  package func put(_ pattern: PatternDefinition) async throws -> Bool {
    let isNew = try await store.store(pattern)
    known.withLock { $0[pattern.name, default: [:]][pattern.version] = pattern }
    return isNew
  }

  /// Drops a pattern from the cache, because another node has changed it.
  package func forget(_ name: String) {
    known.withLock { $0[name] = nil }
  }

  /// Writes the cached definitions that the store has lost.
  package func restore() async throws {
    let listed = Set(try await store.patternNames())
    for (name, versions) in known.withLock({ $0 }) {
      let present = try await store.versions(ofPattern: name)
      let missing = versions.values.filter { known in !present.contains { $0.version == known.version } }
      // Storing a present definition again adds its pattern to the list of names.
      let unlisted = listed.contains(name) ? [] : Array(present.prefix(1))
      for pattern in missing + unlisted { _ = try await store.store(pattern) }
    }
  }

  /// Reads all patterns from the store.
  package func load() async throws {
    for name in try await store.patternNames() { _ = try await versions(of: name) }
  }

  /// The given version of a pattern, or its latest; nil if there is none.
  package func pattern(_ name: String, version: String?) async throws -> PatternDefinition? {
    if let found = lookUp(name, version) { return found }
    _ = try await versions(of: name)
    return lookUp(name, version)
  }

  /// The latest version of every pattern whose name or description contains `search`, by name.
  package func latest(search: String?) async throws -> [PatternDefinition] {
    try await load()
    let names = known.withLock { Array($0.keys) }
    let all = names.sorted().compactMap { lookUp($0, nil) }
    guard let search = search?.lowercased(), !search.isEmpty else { return all }
    return all.filter { $0.name.lowercased().contains(search) || ($0.description?.lowercased().contains(search) ?? false) }
  }

  /// All versions of a pattern, read from the store, the latest first; empty if there is none.
  package func all(ofPattern name: String) async throws -> [PatternDefinition] {
    try await versions(of: name).sorted { VersionOrder.isBefore($1.version, $0.version) }
  }

  private func versions(of name: String) async throws -> [PatternDefinition] {
    let versions = try await store.versions(ofPattern: name)
    if !versions.isEmpty {
      // The cache keeps versions that the store lacks: the store lost them, since no version is ever removed.
      known.withLock { known in for version in versions { known[name, default: [:]][version.version] = version } }
    }
    return versions
  }

  private func lookUp(_ name: String, _ version: String?) -> PatternDefinition? {
    known.withLock { known in
      guard let versions = known[name] else { return nil }
      if let version { return versions[version] }
      return versions.values.max { VersionOrder.isBefore($0.version, $1.version) }
    }
  }
}

/// The order of versions, after Semantic Versioning: by the values of the numbers, then a release after its pre-releases, then by text, so
/// that all nodes agree on the latest version.
package enum VersionOrder {
  /// Whether `left` is older than `right`.
  package static func isBefore(_ left: String, _ right: String) -> Bool {
    let (leftCore, leftTag) = split(left)
    let (rightCore, rightTag) = split(right)
    if let isBefore = compare(leftCore, rightCore) { return isBefore }
    if leftTag.isEmpty != rightTag.isEmpty { return rightTag.isEmpty }
    return compare(leftTag, rightTag) ?? (left < right)
  }

  private static func split(_ version: String) -> (core: [Substring], tag: [Substring]) {
    let withoutBuild = version.prefix { $0 != "+" }
    let core = withoutBuild.prefix { $0 != "-" }
    return (core.split(separator: "."), withoutBuild.dropFirst(core.count + 1).split(separator: "."))
  }

  private static func compare(_ left: [Substring], _ right: [Substring]) -> Bool? {
    for (first, second) in zip(left, right) where first != second {
      switch (Int(first), Int(second)) {
      case (let first?, let second?) where first != second: return first < second
      case (.some, .some): continue
      case (.some, nil): return true
      case (nil, .some): return false
      case (nil, nil): return first < second
      }
    }
    return left.count == right.count ? nil : left.count < right.count
  }
}
