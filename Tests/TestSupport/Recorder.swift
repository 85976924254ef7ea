import Synchronization

/// Records values in order.
package final class Recorder<Element: Sendable>: Sendable {
  private let elements = Mutex<[Element]>([])

  package init() {}

  /// The recorded values.
  package var all: [Element] { elements.withLock { $0 } }

  package var count: Int { elements.withLock { $0.count } }

  package func add(_ element: Element) {
    elements.withLock { $0.append(element) }
  }
}
