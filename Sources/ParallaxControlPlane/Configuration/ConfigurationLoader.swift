/// A configuration file: its path and its text.
package struct ConfigurationFile: Sendable, Equatable {
  package let path: String
  package let text: String

  package init(path: String, text: String) {
    self.path = path
    self.text = text
  }
}

/// A key that was set on the command line.
package struct ConfigurationFlag: Sendable, Equatable {
  /// The flag as typed, such as `--port`.
  package let flag: String
  /// The key that the flag sets, such as `server.port`.
  package let key: String
  package let value: String

  package init(_ flag: String, key: String, value: String) {
    self.flag = flag
    self.key = key
    self.value = value
  }
}

/// Makes a configuration from a file, the environment and flags: flags win over the environment, the environment over the file, the file
/// over the defaults.
///
/// The loader reads files through `readFile` only, so that tests can run it on plain values.
package struct ConfigurationLoader: Sendable {
  private let file: ConfigurationFile?
  private let environment: [String: String]
  private let flags: [ConfigurationFlag]
  private let hostName: String
  private let readFile: @Sendable (_ path: String) throws -> String

  /// Makes a loader.
  /// - Parameters:
  ///   - file: The configuration file; nil if there is none.
  ///   - environment: The process's environment; empty variables count as unset.
  ///   - flags: The keys set on the command line.
  ///   - hostName: The default of `node.id`.
  ///   - readFile: Reads the file of a `file:` reference.
  package init(
    file: ConfigurationFile?, environment: [String: String], flags: [ConfigurationFlag] = [], hostName: String,
    readFile: @escaping @Sendable (_ path: String) throws -> String
  ) {
    self.file = file
    self.environment = environment.filter { !$0.value.isEmpty }
    self.flags = flags
    self.hostName = hostName
    self.readFile = readFile
  }

  /// Makes the configuration.
  /// - Returns: The values in force.
  /// - Throws: All faults at once.
  package func load() throws(ConfigurationError) -> NodeConfiguration {
    var assembly = Assembly(configuration: NodeConfiguration(nodeID: hostName))
    let references = ConfigurationReferences(environment: environment, file: file?.path, readFile: readFile)
    if let file { assembly.read(file, references) }
    assembly.read(environment, references)
    assembly.checkNames(of: environment, referredToBy: file?.text)
    assembly.read(flags)
    assembly.deriveTimings()
    assembly.checkNodeID(hostName)
    assembly.checkRelations()
    guard assembly.faults.isEmpty else { throw ConfigurationError(assembly.faults) }
    return assembly.configuration
  }
}

/// A configuration under construction.
private struct Assembly {
  var configuration: NodeConfiguration
  var faults: [ConfigurationFault] = []
  /// The source of the value in force, for each key that is set.
  private var locations: [String: ConfigurationFault.Location] = [:]
  private var faultyKeys: Set<String> = []

  init(configuration: NodeConfiguration) {
    self.configuration = configuration
  }

  func isSet(_ key: String) -> Bool { locations[key] != nil }

  mutating func read(_ file: ConfigurationFile, _ references: ConfigurationReferences) {
    do {
      guard let root = try YAMLReader.read(file.text, file: file.path) else { return }
      guard case .mapping(let members) = root.content else {
        let expected = "sections such as \"server:\""
        return report(.file(file.path, line: root.line), "", .invalidValue(found: root.kind, expected: expected))
      }
      read(members, in: "", file.path, references)
    } catch {
      faults += error.faults
    }
  }

  private mutating func read(_ members: [YAMLNode.Member], in section: String, _ path: String, _ references: ConfigurationReferences) {
    for member in members {
      let key = section.isEmpty ? member.key : "\(section).\(member.key)"
      let location = ConfigurationFault.Location.file(path, line: member.line)
      if let known = ConfigurationKeys.byPath[key] {
        read(member.value, known, location, references)
      } else if !ConfigurationKeys.sections.contains(key) {
        let nearest = NearestKey.of(member.key, among: ConfigurationKeys.names(in: section)).map {
          section.isEmpty ? $0 : "\(section).\($0)"
        }
        report(location, key, .unknownKey(nearest: nearest))
      } else if case .mapping(let members) = member.value.content {
        read(members, in: key, path, references)
      } else if !member.value.isNull {
        report(
          location, key,
          .invalidValue(found: member.value.kind, expected: "a section with \(ConfigurationKeys.names(in: key).joined(separator: ", "))"))
      }
    }
  }

  private mutating func read(
    _ node: YAMLNode, _ key: ConfigurationKey, _ location: ConfigurationFault.Location, _ references: ConfigurationReferences
  ) {
    switch node.content {
    case .scalar(let text, _) where !node.isNull:
      set(key, text: text, location, references.resolved(text))
    case .sequence(let elements) where key.readSections != nil:
      locations[key.path] = location
      let found = key.readSections?(elements, location.path, references, &configuration) ?? []
      if !found.isEmpty { faultyKeys.insert(key.path) }
      faults += found
    case .sequence(let elements):
      let texts = elements.compactMap { element -> String? in
        guard case .scalar(let text, _) = element.content, !element.isNull else { return nil }
        return text
      }
      guard texts.count == elements.count else {
        return report(location, key.path, .invalidValue(found: "a list of sections", expected: key.expected))
      }
      set(key, list: texts, location, references)
    default:
      report(location, key.path, .invalidValue(found: node.kind, expected: key.expected))
    }
  }

  mutating func read(_ environment: [String: String], _ references: ConfigurationReferences) {
    for key in ConfigurationKeys.all {
      guard let name = key.environment, let text = environment[name] else { continue }
      set(key, text: text, .environment(name), references.resolvedFile(text))
    }
  }

  /// Refuses variables whose names are misspelled.
  mutating func checkNames(of environment: [String: String], referredToBy text: String?) {
    for (name, meant) in EnvironmentNames.misspelled(in: environment.keys, referredToBy: text) {
      report(.environment(name), "", .unknownVariable(nearest: meant))
    }
  }

  mutating func read(_ flags: [ConfigurationFlag]) {
    for flag in flags {
      guard let key = ConfigurationKeys.byPath[flag.key] else {
        preconditionFailure("The flag \(flag.flag) sets \(flag.key), which is not a key of the configuration.")
      }
      set(key, text: flag.value, .flag(flag.flag), .success(flag.value))
    }
  }

  private mutating func set(
    _ key: ConfigurationKey, text: String, _ location: ConfigurationFault.Location,
    _ resolved: Result<String, ConfigurationReferences.Failure>
  ) {
    switch resolved {
    case .success(let value): assign(key, .text(value), shown: key.shown(text), location)
    case .failure(let failure): report(location, key.path, .unreadable(failure.message))
    }
  }

  private mutating func set(
    _ key: ConfigurationKey, list texts: [String], _ location: ConfigurationFault.Location, _ references: ConfigurationReferences
  ) {
    var values: [String] = []
    for text in texts {
      switch references.resolved(text) {
      case .success(let value): values.append(value)
      case .failure(let failure): return report(location, key.path, .unreadable(failure.message))
      }
    }
    let shown = texts.compactMap(key.shown)
    assign(key, .list(values), shown: shown.count == texts.count ? "[\(shown.joined(separator: ", "))]" : nil, location)
  }

  private mutating func assign(
    _ key: ConfigurationKey, _ input: ConfigurationInput, shown: String?, _ location: ConfigurationFault.Location
  ) {
    locations[key.path] = location
    guard !key.assign(input, &configuration) else { return }
    report(location, key.path, .invalidValue(found: shown, expected: key.expected))
  }

  mutating func deriveTimings() {
    let keysSet = Set(locations.keys)
    configuration.highAvailability.leaderElection.derive { keysSet.contains($0) }
  }

  /// Checks the default of `node.id`: a host name may not be a valid node id.
  mutating func checkNodeID(_ hostName: String) {
    guard !isSet("node.id"), let key = ConfigurationKeys.byPath["node.id"] else { return }
    assign(key, .text(hostName), shown: FoundText.quoted(hostName), .system("host name"))
  }

  mutating func checkRelations() {
    for relation in ConfigurationRelation.all where faultyKeys.isDisjoint(with: relation.keys) {
      guard let violation = relation.violation(configuration) else { continue }
      let key = relation.keys.first(where: isSet) ?? relation.keys[0]
      report(locations[key] ?? .system("defaults"), key, .brokenRule(violation))
    }
  }

  private mutating func report(_ location: ConfigurationFault.Location, _ key: String, _ problem: ConfigurationFault.Problem) {
    faultyKeys.insert(key)
    faults.append(ConfigurationFault(location, key: key, problem))
  }
}

extension ConfigurationKey {
  /// A refused value, for an error: as its source spells it, so that the target of a reference stays hidden; nil if it may hold a secret.
  ///
  /// An invalid URL is not shown at all, because its password cannot be told apart. Nor is a text that may hold a URL with a password, or a
  /// private key, in a place for neither.
  fileprivate func shown(_ text: String) -> String? {
    let mayHoldSecret = text.contains("@") || text.contains("-----BEGIN") || text.contains(where: \.isNewline)
    return secrecy == .open && !mayHoldSecret ? FoundText.quoted(text) : nil
  }
}
