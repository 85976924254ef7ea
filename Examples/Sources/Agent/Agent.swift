#if Agent
import Logging
import ParallaxAgent
import ServiceLifecycle
import UnixSignals
#endif

struct Document: Codable, Sendable { var text: String }

struct Category: Codable, Sendable {
  var category: String
  var confidence: Double
}

/// An agent that tells questions from statements: `swift run --traits Agent Agent http://127.0.0.1:8080`.
///
/// SIGTERM lets running tasks end, and waits until their results are stored.
@main struct Main {
  static func main() async throws {
    #if Agent
    let url = CommandLine.arguments.dropFirst().first ?? "http://127.0.0.1:8080"
    let logger = Logger(label: "agent")
    let agent = ParallaxAgent(name: "classifier-1", capabilities: ["classification"], url: url, maxConcurrentTasks: 4, logger: logger) {
      (document: Document) in
      Category(category: document.text.hasSuffix("?") ? "question" : "statement", confidence: 0.9)
    }
    try await ServiceGroup(services: [agent], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
    #else
    print("This example needs the trait Agent: swift run --traits Agent Agent")
    #endif
  }
}
