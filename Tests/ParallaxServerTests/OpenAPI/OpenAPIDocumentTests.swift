import NIOCore
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// The description of the API; `Scripts/test-openapi.sh` holds a node against it.
@Suite(.timeLimit(.minutes(3))) struct OpenAPIDocumentTests {
  private static let declarations = RouteDeclaration.all(
    APIRoutes(service: FakeControlPlane(), protectStatus: false, bodyLimit: RequestBodyLimit(1_024)))

  private func document(protectStatus: Bool = false) -> JSONValue {
    OpenAPIDocument(declarations: Self.declarations, version: "1.2.3", protectStatus: protectStatus).value
  }

  private func members(_ value: JSONValue?) -> [String: JSONValue] {
    guard case .object(let members) = value else { return [:] }
    return members
  }

  private func operations(of document: JSONValue) -> [(name: String, operation: JSONValue)] {
    members(document["paths"]).flatMap { path, item in
      members(item).filter { $0.key != "parameters" }.map { ("\($0.key.uppercased()) \(path)", $0.value) }
    }
  }

  /// All texts that are values of a member with this name, at any depth.
  private func texts(_ name: String, in value: JSONValue) -> [String] {
    switch value {
    case .object(let members):
      members.flatMap { key, value in (key == name ? value.stringValue.map { [$0] } ?? [] : []) + texts(name, in: value) }
    case .array(let elements): elements.flatMap { texts(name, in: $0) }
    default: []
    }
  }

  @Test func everyRouteThatIsNoFileIsDescribed() {
    let described = Set(operations(of: document()).map(\.name))
    let declared = Self.declarations.filter { route in !DashboardFile.all.contains { route.path == "/ui/\($0.path)" } }
      .map { "\($0.method) " + $0.path.replacing(/:([a-z]+)/) { "{\($0.1)}" } }
    #expect(described == Set(declared) && described.count > 30)
  }

  @Test func operationIDsAreUnique() {
    let operations = operations(of: document())
    let ids = operations.compactMap { $0.operation["operationId"]?.stringValue }
    #expect(Set(ids).count == ids.count && ids.count == operations.count)
  }

  @Test func everyReferenceAndEveryLinkHasATarget() {
    let document = document()
    let defined = ["schemas", "responses"].flatMap { kind in
      members(document["components"]?[kind]).keys.map { "#/components/\(kind)/\($0)" }
    }
    #expect(Set(texts("$ref", in: document)) == Set(defined), "each definition is used, and each used one exists")
    let operations = operations(of: document).map(\.operation)
    let ids = Set(operations.compactMap { $0["operationId"]?.stringValue })
    let links = operations.flatMap { members($0["responses"]).values.flatMap { texts("operationId", in: $0) } }
    #expect(!links.isEmpty && Set(links).isSubset(of: ids))
  }

  @Test func anOperationNamesTheScopeThatItsRouteNeeds() throws {
    for protectStatus in [false, true] {
      let paths = document(protectStatus: protectStatus)["paths"]
      func security(_ path: String, _ method: String) -> JSONValue? { paths?[path]?[method]?["security"] }
      #expect(security("/health", "get") == [])
      #expect(security("/ha/pause", "post")?[0]?["key"] == ["admin"])
      #expect(security("/api/events", "get")?[1]?["session"] == ["read"])
      #expect(security("/metrics", "get") == (protectStatus ? security("/api/agents", "get") : []))
      let refusals = members(paths?["/api/agents"]?["get"]?["responses"])
      #expect(refusals["401"]?["content"]?["application/json"]?["schema"] == Schema.error.reference)
    }
  }

  /// What no caller with a sound client sends, to every operation.
  @Test(arguments: [
    ("Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"), ("Host: a b\r\nConnection: close\r\n\r\n", "400"),
    ("Host: localhost\r\nExpect: wonders\r\n\r\n", "417"), ("Host: localhost\r\nContent-Length: 2000\r\n\r\n", "413"),
    ("Host: localhost\r\nX: \(String(repeating: "x", count: 17_000))\r\n\r\n", "431"),
    ("Host: localhost\r\nContent-Length: 1\r\n\r\n", "408"),
    ("Host: localhost\r\n", "408"),
  ])
  func oddRequestsAreAnsweredAsTheDescriptionSays(headers: String, status: String) async throws {
    let operations = operations(of: document())
    try await RunningServer.with(change: {
      $0.limits.requestBody = 1_024
      ($0.limits.headTimeout, $0.limits.bodyGrace) = (.milliseconds(20), .milliseconds(20))
    }) { server in
      for (name, operation) in operations {
        let answer = try await server.connect { connection in
          try await connection.send("\(name) HTTP/1.1\r\n\(headers)")
          return try await connection.untilEnd()
        }
        let found = String(answer.dropFirst("HTTP/1.1 ".count).prefix(3))
        #expect(operation["responses"]?[found] != nil, "\(name): \(answer.prefix(200))")
        // A route that reads no body may answer before the body is due.
        if status != "408" || !headers.hasSuffix("\r\n\r\n") || operation["requestBody"] != nil {
          #expect(found == status, "\(name): \(answer.prefix(200))")
        }
      }
    }
  }

  @Test func everyOperationNamesALongTargetAndAnotherVersion() async throws {
    let operations = operations(of: document())
    try await RunningServer.with { server in
      for (name, operation) in operations {
        let words = name.split(separator: " ")
        for (line, status) in [
          ("\(words[0]) \(words[1])?\(String(repeating: "x", count: 9_000)) HTTP/1.1", "414"), ("\(name) HTTP/2.0", "505"),
        ] {
          let answer = try await server.connect { connection in
            try await connection.send("\(line)\r\nHost: localhost\r\n\r\n")
            return try await connection.untilEnd()
          }
          #expect(answer.hasPrefix("HTTP/1.1 \(status) ") && operation["responses"]?[status] != nil, "\(name): \(answer.prefix(200))")
        }
      }
    }
  }

  @Test func pathsHaveTheirParameters() {
    let parameters = document()["paths"]?["/api/patterns/{name}/execute"]?["parameters"]
    #expect(parameters?[0]?["name"] == "name" && parameters?[0]?["required"] == true)
  }

  @Test func theNodeServesItsDescription() async throws {
    try await RunningServer.with { server in
      let answer = try await server.send("GET", "/openapi.json")
      #expect(answer.status == 200 && answer.headers["content-type"] == "application/json")
      #expect(try JSON.decode(JSONValue.self, from: answer.text) == document())
    }
  }
}

extension JSONValue {
  fileprivate subscript(index: Int) -> JSONValue? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }
}
