package import ParallaxAPI
package import ParallaxState
import Synchronization

/// The patterns that this node knows, in front of the store.
///
/// A version never changes its meaning while executions use it, since each execution carries the definition that it began with;
/// so a definition that was read once is kept, and only what is not known here is asked of the store.
package final class PatternCatalog: Sendable {
  private let store: any PatternStore
  private let known = Mutex<[String: [String: PatternDefinition]]>([:])

  package init(store: any PatternStore) {
    self.store = store
  }

  /// Stores a definition; true if its version is new.
  package func put(_ pattern: PatternDefinition) async throws -> Bool {
    let isNew = try await store.store(pattern)
    known.withLock { $0[pattern.name, default: [:]][pattern.version] = pattern }
    return isNew
  }

  /// Forgets what is known of a pattern, since another node has changed it.
  package func forget(_ name: String) {
    known.withLock { $0[name] = nil }
  }

  /// Stores what is known here and the store lacks, as it may have lost it.
  package func restore() async throws {
    let listed = Set(try await store.patternNames())
    for (name, versions) in known.withLock({ $0 }) {
      let present = try await store.versions(ofPattern: name)
      let missing = versions.values.filter { known in !present.contains { $0.version == known.version } }
      // A pattern that is there and not listed is listed by storing of it what is there.
      let unlisted = listed.contains(name) ? [] : Array(present.prefix(1))
      for pattern in missing + unlisted { _ = try await store.store(pattern) }
    }
  }

  /// Reads all that the store has.
  package func load() async throws {
    for name in try await store.patternNames() { _ = try await versions(of: name) }
  }

  /// The pattern in a version, or in its latest; nil if there is none.
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

  private func versions(of name: String) async throws -> [PatternDefinition] {
    let versions = try await store.versions(ofPattern: name)
    if !versions.isEmpty {
      // A version that is not there any more was lost by the store, since none is ever removed, and is still good.
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

/// The order of versions: numbers by value, then releases after their pre-releases, in the manner of Semantic Versioning; versions
/// that are equal so far, by their text, so that every node takes the same one for the latest.
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
