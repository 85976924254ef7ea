/// One key of the configuration: its names, what it accepts and where its value goes.
struct ConfigurationKey: Sendable {
  /// How much of a value may be shown.
  enum Secrecy: Sendable {
    case open
    /// A secret as a whole.
    case secret
    /// A URL that may contain a password.
    case url
  }

  /// The key's path in the file, such as `server.port`.
  let path: String
  /// The environment variable that sets it, if there is one.
  let environment: String?
  let secrecy: Secrecy
  /// What is accepted, to follow the word "expected".
  let expected: String
  /// Puts a value into the configuration; false if it is not accepted.
  let assign: @Sendable (ConfigurationInput, inout NodeConfiguration) -> Bool
  /// The value in force as a file would set it; nil if nothing is set.
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

  /// The sections that the key is in, outermost first.
  var sections: [String] {
    Array(path.split(separator: ".").map(String.init).dropLast())
  }
}
