import ParallaxAPI

/// What a route does, for the description of the API.
///
/// Every route states this in its declaration, which has no default; the description is made from the declarations alone.
struct Operation: Sendable {
  /// The chapter of the description.
  enum Tag: String, Sendable, CaseIterable {
    case executions, patterns, agents, cluster, observation, probes, dashboard

    var summary: String {
      switch self {
      case .executions: "Run patterns, and follow what runs."
      case .patterns: "The patterns that can be run."
      case .agents: "The agents that are connected."
      case .cluster: "The nodes, their leader, and handovers."
      case .observation: "What the nodes do, for charts and watchers."
      case .probes: "Probes of load balancers and Prometheus; open to everyone, and answered under any load."
      case .dashboard: "The session of a browser."
      }
    }
  }

  /// A query parameter or a header of the request.
  struct Parameter: Sendable {
    var name: String
    var isHeader = false
    var summary: String
    var schema: JSONValue
  }

  /// The body of a request.
  struct Body: Sendable {
    var isRequired: Bool
    /// The schema of each media type.
    var content: [String: JSONValue]

    static func json(_ schema: Schema, isRequired: Bool = false) -> Body {
      Body(isRequired: isRequired, content: ["application/json": schema.reference])
    }
  }

  /// An operation for which an answer has the path parameter.
  struct Link: Sendable {
    var operation: String
    var parameter: String
    /// The member of the answer.
    var member: String

    static func execution(_ member: String = "executionId") -> [Link] {
      ["getExecution", "cancelExecution", "retryExecution"].map { Link(operation: $0, parameter: "id", member: member) }
    }

    static let pattern = ["getPattern", "execute"].map { Link(operation: $0, parameter: "name", member: "name") }
  }

  /// A successful answer.
  struct Answer: Sendable {
    var status: Int
    var summary: String
    /// The schema of each media type; empty without a body.
    var content: [String: JSONValue] = [:]
    /// Headers beside the common ones, each with what it tells.
    var headers: [String: String] = [:]
    /// The operations that the answer leads to.
    var links: [Link] = []

    static func json(_ schema: Schema, _ summary: String, status: Int = 200, links: [Link] = []) -> Answer {
      Answer(status: status, summary: summary, content: ["application/json": schema.reference], links: links)
    }
  }

  /// The name of the operation for generated clients.
  let id: String
  let summary: String
  let tag: Tag
  var parameters: [Parameter] = []
  var body: Body?
  var answers: [Answer]
  /// The errors beside those that every route of its kind can have.
  var errors: [APIError.Code] = []
}
