/// One key of the configuration: its names, its accepted values, and its place in ``NodeConfiguration``.
struct ConfigurationKey: Sendable {
  /// The part of a value that may be shown.
  enum Secrecy: Sendable {
    case open
    /// A secret, never shown.
    case secret
    /// A URL, shown without its password.
    case url
  }

  /// The key's path in the file, such as `server.port`.
  let path: String
  /// The environment variable that sets the key; nil if there is none.
  let environment: String?
  let secrecy: Secrecy
  /// The accepted values, phrased to follow the word "expected".
  let expected: String
  /// Sets the value in the configuration; false if the key does not accept it.
  let assign: @Sendable (ConfigurationInput, inout NodeConfiguration) -> Bool
  /// The value in force in the notation of the file; nil if nothing is set.
  let text: @Sendable (NodeConfiguration) -> ConfigurationText?

  init<Value>(
    _ path: String, environment: String? = nil, _ target: any WritableKeyPath<NodeConfiguration, Value> & Sendable, _ type: ValueType<Value>
  ) {
    self.path = path
    self.environment = environment
    secrecy = .open
    expected = type.expected
    assign = { input, configuration in
      guard let value = type.parse(input) else { return false }
      configuration[keyPath: target] = value
      return true
    }
    text = { type.text($0[keyPath: target]) }
  }

  init<Value>(
    _ path: String, environment: String? = nil, _ target: any WritableKeyPath<NodeConfiguration, Value?> & Sendable,
    _ type: ValueType<Value>,
    _ secrecy: Secrecy = .open
  ) {
    self.path = path
    self.environment = environment
    self.secrecy = secrecy
    expected = type.expected
    assign = { input, configuration in
      guard let value = type.parse(input) else { return false }
      configuration[keyPath: target] = value
      return true
    }
    text = { $0[keyPath: target].map(type.text) }
  }

  /// The sections around the key, outermost first.
  var sections: [String] {
    Array(path.split(separator: ".").map(String.init).dropLast())
  }
}
