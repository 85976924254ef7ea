import NIOHTTP1
import ParallaxAPI

/// The description of the API, in OpenAPI 3.1, made from the declarations of the routes.
struct OpenAPIDocument: Sendable {
  let declarations: [RouteDeclaration]
  /// The version of the program.
  let version: String
  let protectStatus: Bool

  /// The whole document.
  var value: JSONValue {
    var paths: [String: JSONValue] = [:]
    for (path, routes) in Dictionary(grouping: declarations.filter { $0.operation != nil }, by: \.path) {
      var methods: [String: JSONValue] = [:]
      for route in routes { methods[route.method.lowercased()] = route.operation.map { operation(of: route, $0) } }
      let names = Self.parameters(in: path)
      if !names.isEmpty { methods["parameters"] = .array(names.map(Self.pathParameter)) }
      paths[Self.template(of: path)] = .object(methods)
    }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "Parallax", "version": .string(version), "license": ["name": "Apache 2.0", "identifier": "Apache-2.0"],
        "description": .string(
          "A control plane that hands executions to AI agents. Every node of a cluster answers every request. A path answers a method that it "
            + "does not have with 405, and names its own in Allow; a method that no path has, with 501."),
      ],
      "servers": [["url": "/"]],
      "tags": .array(Operation.Tag.allCases.map { ["name": .string($0.rawValue), "description": .string($0.summary)] }),
      "paths": .object(paths),
      "components": [
        "schemas": .object(Dictionary(uniqueKeysWithValues: Schema.allCases.map { ($0.rawValue, $0.definition) })),
        "responses": .object(Dictionary(uniqueKeysWithValues: Refusal.allCases.map { ($0.rawValue, $0.definition) })),
        "securitySchemes": [
          "key": ["type": "http", "scheme": "bearer", "description": "An API key, or a JSON Web Token."],
          "session": [
            "type": "apiKey", "in": "cookie", "name": .string(SessionCookie.name), "description": "The session of a browser.",
          ],
          "certificate": ["type": "mutualTLS", "description": "A client certificate with scopes, `security.mtls.identities`."],
        ],
      ],
    ]
  }

  // MARK: Operations

  private func operation(of route: RouteDeclaration, _ operation: Operation) -> JSONValue {
    let scope = route.access.scope(protectStatus: protectStatus)
    var document: [String: JSONValue] = [
      "operationId": .string(Self.isAlias(route.path) ? operation.id + Self.suffix(of: route.path) : operation.id),
      "summary": .string(operation.summary), "tags": [.string(operation.tag.rawValue)],
      "responses": .object(answers(of: operation, needing: scope)),
      "security": scope.map { scope in .array(["key", "session", "certificate"].map { .object([$0: [.string(scope.rawValue)]]) }) } ?? [],
    ]
    if !operation.parameters.isEmpty { document["parameters"] = .array(operation.parameters.map(Self.parameter)) }
    if let body = operation.body {
      document["requestBody"] = [
        "required": .bool(body.isRequired), "content": .object(body.content.mapValues { ["schema": $0] }),
      ]
    }
    return .object(document)
  }

  private func answers(of operation: Operation, needing scope: AccessScope?) -> [String: JSONValue] {
    var answers: [String: JSONValue] = [:]
    for answer in operation.answers {
      var document: [String: JSONValue] = ["description": .string(answer.summary)]
      if !answer.content.isEmpty { document["content"] = .object(answer.content.mapValues { ["schema": $0] }) }
      if !answer.headers.isEmpty {
        document["headers"] = .object(answer.headers.mapValues { ["description": .string($0), "schema": textSchema] })
      }
      if !answer.links.isEmpty {
        document["links"] = .object(Dictionary(uniqueKeysWithValues: answer.links.map { ($0.operation, Self.link($0)) }))
      }
      answers[String(answer.status)] = .object(document)
    }
    // The server refuses hosts, origins and callers beyond their limit on every route but the probes.
    var errors = operation.errors + (operation.tag == .probes ? [] : [.forbidden, .rateLimited, .internal, .notReady])
    if scope != nil { errors += [.unauthorized, .forbidden] }
    for refusal in Refusal.allCases { answers[String(refusal.status)] = refusal.reference }
    for (status, codes) in Dictionary(grouping: Set(errors), by: \.status) where answers[String(status)] == nil {
      answers[String(status)] = [
        "description": .string(codes.map(\.rawValue).sorted().joined(separator: " or ")),
        "content": ["application/json": ["schema": Schema.error.reference]],
      ]
    }
    return answers
  }

  private static func link(_ link: Operation.Link) -> JSONValue {
    ["operationId": .string(link.operation), "parameters": [link.parameter: .string("$response.body#/\(link.member)")]]
  }

  // MARK: Parameters and paths

  private static func parameter(_ parameter: Operation.Parameter) -> JSONValue {
    [
      "name": .string(parameter.name), "in": parameter.isHeader ? "header" : "query", "description": .string(parameter.summary),
      "schema": parameter.schema,
    ]
  }

  private static func pathParameter(_ name: String) -> JSONValue {
    ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string", "minLength": 1]]
  }

  private static func parameters(in path: String) -> [String] {
    path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
  }

  private static func template(of path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }
      .joined(separator: "/")
  }

  /// The probes have several paths each; operation ids are unique.
  private static func isAlias(_ path: String) -> Bool { Probe(path: path[...]) != nil && path != "/health" && path != "/metrics" }

  private static func suffix(of path: String) -> String {
    path.split(separator: "/").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}
