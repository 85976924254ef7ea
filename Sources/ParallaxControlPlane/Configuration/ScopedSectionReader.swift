import ParallaxAPI

/// Reads the sections of a list of callers with scopes: API keys, or names in certificates.
struct ScopedSectionReader {
  /// A section with a name and scopes, and its other texts.
  private struct Section {
    let line: Int
    let place: String
    let name: String
    let scopes: Set<AccessScope>
    let texts: [String: (text: String, line: Int)]
  }

  private let path: String
  private let file: String
  private let references: ConfigurationReferences
  private(set) var faults: [ConfigurationFault] = []

  init(path: String, file: String, references: ConfigurationReferences) {
    self.path = path
    self.file = file
    self.references = references
  }

  /// Reads API keys: `name`, `scopes`, and either `hash` or `key`.
  mutating func apiKeys(_ elements: [YAMLNode]) -> [APIKey] {
    let expected = "a section with name, scopes, and either hash or key"
    let members = ["name", "hash", "key", "scopes"]
    return entries(elements, members, expected, APIKeyText.nameForm, APIKeyText.isName) { reader, section in
      switch (section.texts["hash"], section.texts["key"]) {
      case (let hash?, nil):
        let key = APIKey(name: section.name, hash: hash.text, scopes: section.scopes)
        if key == nil { reader.report(hash.line, section.place + ".hash", .invalidValue(found: nil, expected: APIKeyText.hashForm)) }
        return key
      case (nil, let secret?):
        let key = APIKey(name: section.name, key: secret.text, scopes: section.scopes)
        if key == nil { reader.report(secret.line, section.place + ".key", .invalidValue(found: nil, expected: APIKeyText.keyForm)) }
        return key
      default:
        reader.report(section.line, section.place, .brokenRule("expected either hash or key"))
        return nil
      }
    }
  }

  /// Reads names in certificates: `name` and `scopes`.
  mutating func identities(_ elements: [YAMLNode]) -> [ClientIdentity] {
    entries(elements, ["name", "scopes"], "a section with name and scopes", ClientIdentity.nameForm, ClientIdentity.isName) {
      ClientIdentity(name: $1.name, scopes: $1.scopes)
    }
  }

  /// Makes an entry of each section that is as expected.
  private mutating func entries<Entry>(
    _ elements: [YAMLNode], _ members: [String], _ expected: String, _ nameForm: String, _ isName: (String) -> Bool,
    _ make: (inout ScopedSectionReader, Section) -> Entry?
  ) -> [Entry] {
    var entries: [Entry] = []
    for (index, element) in elements.enumerated() {
      let place = "\(path)[\(index)]"
      let count = faults.count
      let (texts, scopes) = read(element, at: place, members, expected)
      guard faults.count == count else { continue }
      guard let name = texts["name"] else {
        report(element.line, place, .brokenRule("name is missing"))
        continue
      }
      guard let scopes else {
        report(element.line, place, .brokenRule("scopes is missing"))
        continue
      }
      guard isName(name.text) else {
        report(name.line, place + ".name", .invalidValue(found: FoundText.quoted(name.text), expected: nameForm))
        continue
      }
      let section = Section(line: element.line, place: place, name: name.text, scopes: scopes, texts: texts)
      if let entry = make(&self, section) { entries.append(entry) }
    }
    return entries
  }

  private mutating func read(
    _ element: YAMLNode, at place: String, _ known: [String], _ expected: String
  ) -> (texts: [String: (text: String, line: Int)], scopes: Set<AccessScope>?) {
    guard case .mapping(let members) = element.content else {
      report(element.line, place, .invalidValue(found: element.kind, expected: expected))
      return ([:], nil)
    }
    var texts: [String: (text: String, line: Int)] = [:]
    var scopes: Set<AccessScope>?
    for member in members {
      let key = "\(place).\(member.key)"
      if !known.contains(member.key) {
        let nearest = NearestKey.of(member.key, among: known).map { "\(place).\($0)" }
        report(member.line, key, .unknownKey(nearest: nearest))
      } else if member.key == "scopes" {
        scopes = self.scopes(member, key)
      } else {
        texts[member.key] = text(member, key).map { ($0, member.line) }
      }
    }
    return (texts, scopes)
  }

  private mutating func scopes(_ member: YAMLNode.Member, _ key: String) -> Set<AccessScope>? {
    var names: [String] = []
    switch member.value.content {
    case .sequence(let elements):
      for element in elements { if case .scalar(let text, _) = element.content { names.append(text) } else { names.append("") } }
    case .scalar(let text, _): names = text.split { $0 == "," || $0 == " " }.map(String.init)
    case .mapping: break
    }
    guard let scopes = APIKeyText.scopes(names) else {
      let found = "[\(names.map(FoundText.quoted).joined(separator: ", "))]"
      report(member.line, key, .invalidValue(found: found, expected: APIKeyText.scopeForm))
      return nil
    }
    return scopes
  }

  private mutating func text(_ member: YAMLNode.Member, _ key: String) -> String? {
    guard case .scalar(let text, _) = member.value.content, !member.value.isNull else {
      report(member.line, key, .invalidValue(found: member.value.kind, expected: "a text"))
      return nil
    }
    switch references.resolved(text) {
    case .success(let value): return value
    case .failure(let failure):
      report(member.line, key, .unreadable(failure.message))
      return nil
    }
  }

  private mutating func report(_ line: Int, _ key: String, _ problem: ConfigurationFault.Problem) {
    faults.append(ConfigurationFault(.file(file, line: line), key: key, problem))
  }
}
