/// One key of the configuration: its names, its accepted values, and its place in ``NodeConfiguration``.
struct ConfigurationKey: Sendable {
  /// The part of a value that may be shown.
  enum Secrecy: Sendable {
    case open
    /// A secret, never shown.
    case secret
    /// A URL, shown without its password.
    case url
    /// API keys, shown without their hashes.
    case keys
  }

  /// The key's path in the file, such as `server.port`.
  let path: String
  /// The environment variable that sets the key; nil if there is none.
  let environment: String?
  let secrecy: Secrecy
  /// What the key sets, in one sentence.
  let purpose: String
  /// Whether a reload changes the value without a restart.
  let isReloadable: Bool
  /// The accepted values, phrased to follow the word "expected".
  let expected: String
  /// The accepted values as a JSON type.
  let shape: ValueShape
  /// Sets the value in the configuration; false if the key does not accept it.
  let assign: @Sendable (ConfigurationInput, inout NodeConfiguration) -> Bool
  /// Copies the value of one configuration into another.
  let copy: @Sendable (_ source: NodeConfiguration, _ target: inout NodeConfiguration) -> Void
  /// Reads a list of sections in a file; nil if the key takes none.
  var readSections: (@Sendable ([YAMLNode], _ file: String, ConfigurationReferences, inout NodeConfiguration) -> [ConfigurationFault])?
  /// The value in force in the notation of the file; nil if nothing is set.
  let text: @Sendable (NodeConfiguration) -> ConfigurationText?

  init<Value>(
    _ path: String, environment: String? = nil, _ target: any WritableKeyPath<NodeConfiguration, Value> & Sendable,
    _ type: ValueType<Value>, isReloadable: Bool = false, _ purpose: String
  ) {
    self.path = path
    self.environment = environment
    self.purpose = purpose
    self.isReloadable = isReloadable
    secrecy = .open
    expected = type.expected
    shape = type.shape
    assign = { input, configuration in
      guard let value = type.parse(input) else { return false }
      configuration[keyPath: target] = value
      return true
    }
    copy = { $1[keyPath: target] = $0[keyPath: target] }
    text = { type.text($0[keyPath: target]) }
  }

  init<Value>(
    _ path: String, environment: String? = nil, _ target: any WritableKeyPath<NodeConfiguration, Value?> & Sendable,
    _ type: ValueType<Value>, secrecy: Secrecy = .open, isReloadable: Bool = false, _ purpose: String
  ) {
    self.path = path
    self.environment = environment
    self.secrecy = secrecy
    self.purpose = purpose
    self.isReloadable = isReloadable
    expected = type.expected
    shape = type.shape
    assign = { input, configuration in
      guard let value = type.parse(input) else { return false }
      configuration[keyPath: target] = value
      return true
    }
    copy = { $1[keyPath: target] = $0[keyPath: target] }
    text = { $0[keyPath: target].map(type.text) }
  }

  /// API keys: sections in a file, or texts.
  init(
    apiKeys path: String, environment: String, _ target: any WritableKeyPath<NodeConfiguration, [APIKey]> & Sendable, isReloadable: Bool,
    _ purpose: String
  ) {
    self.path = path
    self.environment = environment
    self.purpose = purpose
    self.isReloadable = isReloadable
    secrecy = .keys
    shape = .sections(["name": .text, "hash": .text, "key": .text, "scopes": .scopes], required: ["name", "scopes"], alsoText: true)
    expected =
      "a list of sections, or KEY or name:scope+scope:KEY separated by commas, where KEY is \(APIKeyText.keyForm), or \(APIKeyText.hashForm)"
    assign = { input, configuration in
      guard case .text(let text) = input, let keys = APIKeyText.keys(text) else { return false }
      configuration[keyPath: target] = keys
      return true
    }
    readSections = { elements, file, references, configuration in
      var reader = ScopedSectionReader(path: path, file: file, references: references)
      configuration[keyPath: target] = reader.apiKeys(elements)
      return reader.faults
    }
    copy = { $1[keyPath: target] = $0[keyPath: target] }
    text = { APIKeyText.text($0[keyPath: target], secretsHidden: false) }
  }

  /// Names in clients' certificates: sections in a file.
  init(
    identities path: String, _ target: any WritableKeyPath<NodeConfiguration, [ClientIdentity]> & Sendable, _ purpose: String
  ) {
    self.path = path
    self.purpose = purpose
    environment = nil
    isReloadable = false
    secrecy = .open
    shape = .sections(["name": .text, "scopes": .scopes], required: ["name", "scopes"], alsoText: false)
    expected = "a list of sections with name and scopes"
    assign = { _, _ in false }
    readSections = { elements, file, references, configuration in
      var reader = ScopedSectionReader(path: path, file: file, references: references)
      configuration[keyPath: target] = reader.identities(elements)
      return reader.faults
    }
    copy = { $1[keyPath: target] = $0[keyPath: target] }
    text = { ClientIdentity.text($0[keyPath: target]) }
  }

  /// The sections around the key, outermost first.
  var sections: [String] {
    Array(path.split(separator: ".").map(String.init).dropLast())
  }
}
