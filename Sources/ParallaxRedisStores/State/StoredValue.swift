import ParallaxAPI
import ParallaxState
import Synchronization

/// JSON as it stands in fields, with errors that say what could not be written or read.
enum StoredValue {
  static func text(_ value: some Encodable, _ what: @autoclosure () -> String) throws -> String {
    do {
      return try JSON.text(value)
    } catch {
      throw StateStoreError(.refused, "\(what()) cannot be written as JSON", cause: error)
    }
  }

  static func decode<Value: Decodable>(_ text: String, _ what: @autoclosure () -> String) throws -> Value {
    do {
      return try JSON.decode(from: text, depthLimit: JSON.documentDepthLimit)
    } catch {
      throw StateStoreError(.unreadable, "what is stored of \(what()) cannot be read", cause: error)
    }
  }
}

/// Pattern definitions and their JSON: the same few stand in every execution, and each is translated once.
final class DefinitionCache: Sendable {
  private struct State {
    var texts: [PatternDefinition: String] = [:]
    var definitions: [String: PatternDefinition] = [:]
  }

  /// How many definitions are remembered in each direction before all are forgotten.
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
