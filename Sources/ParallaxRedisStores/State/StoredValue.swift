import ParallaxAPI
import ParallaxState
import Synchronization

/// The JSON of fields, with errors that name the faulty value.
enum StoredValue {
  static func bytes(_ value: some JSONWritable, _ what: @autoclosure () -> String) throws -> [UInt8] {
    try named(what()) { try value.jsonBytes }
  }

  static func text(_ value: some Encodable, _ what: @autoclosure () -> String) throws -> String {
    try named(what()) { try JSON.text(value) }
  }

  private static func named<Value>(_ what: @autoclosure () -> String, _ write: () throws -> Value) throws -> Value {
    do {
      return try write()
    } catch {
      throw StateStoreError(.refused, "\(what()) cannot be written as JSON", cause: error)
    }
  }

  static func decode<Value: Decodable>(_ text: String, _ what: @autoclosure () -> String) throws -> Value {
    do {
      return try JSON.decode(from: text, depthLimit: JSON.documentDepthLimit)
    } catch {
      throw StateStoreError(.unreadable, "the stored JSON of \(what()) cannot be decoded", cause: error)
    }
  }
}

/// Caches pattern definitions and their JSON: the same few occur in every execution.
final class DefinitionCache: Sendable {
  private struct State {
    var texts: [PatternDefinition: String] = [:]
    var definitions: [String: PatternDefinition] = [:]
  }

  /// The number of definitions that are cached in each direction before the cache is emptied.
  private static let capacity = 256

  private let state = Mutex(State())

  func text(of definition: PatternDefinition) throws -> String {
    if let text = state.withLock({ $0.texts[definition] }) { return text }
    let text = try StoredValue.text(definition, "pattern \(definition.name)")
    state.withLock { state in
      if state.texts.count == Self.capacity { state.texts.removeAll() }
      state.texts[definition] = text
    }
    return text
  }

  func definition(from text: String, _ what: @autoclosure () -> String) throws -> PatternDefinition {
    if let definition = state.withLock({ $0.definitions[text] }) { return definition }
    let definition: PatternDefinition = try StoredValue.decode(text, what())
    state.withLock { state in
      if state.definitions.count == Self.capacity { state.definitions.removeAll() }
      state.definitions[text] = definition
    }
    return definition
  }
}
