import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import ParallaxAPI
import ParallaxState
import ParallaxText

/// The paths and methods of the API, each with its call of the control plane.
struct APIRoutes: Sendable {
  typealias Handler = @Sendable (Request, APIRequestContext) async throws -> Response

  struct Route: Sendable {
    let method: HTTPRequest.Method
    let path: String
    /// Who may call the route.
    let access: RouteAccess
    /// What the route does; nil for what is no part of the API.
    let operation: Operation?
    let handler: Handler
  }

  let service: any ControlPlaneService
  /// `security.protectStatus`: the cluster's status needs the scope `read`.
  let protectStatus: Bool
  let bodyLimit: RequestBodyLimit

  /// The methods that a known path answers with 405 unless it supports them; the front handler answers other methods with 501.
  private static let commonMethods: [HTTPRequest.Method] = [.get, .head, .post, .put, .delete, .patch, .options, .trace]

  func makeRouter() -> Router<APIRequestContext> {
    let router = Router(context: APIRequestContext.self)
    router.add(middleware: UnknownPathMiddleware())
    for (path, routes) in Dictionary(grouping: all, by: \.path) {
      var methods: Set<HTTPRequest.Method> = []
      for route in routes {
        let handler = guarded(route)
        router.on(RouterPath(path), method: route.method, use: handler)
        methods.insert(route.method)
        if route.method == .get {
          router.on(RouterPath(path), method: .head) { request, context in try await handler(request, context) }
          methods.insert(.head)
        }
      }
      let allowed = methods.map(\.rawValue).sorted().joined(separator: ", ")
      for method in Self.commonMethods where !methods.contains(method) {
        router.on(RouterPath(path), method: method) { request, _ -> Response in
          throw HTTPErrorResponse(.methodNotAllowed, "\(request.uri.path) answers \(allowed)", headers: [("Allow", allowed)])
        }
      }
    }
    return router
  }

  /// The handler of a route behind its check of the caller; what administrators do is logged.
  private func guarded(_ route: Route) -> Handler {
    let scope = route.access.scope(protectStatus: protectStatus)
    let guarded: Handler = { request, context in
      if let denied = HTTPErrorResponse.refusal(of: context.caller.principal, needing: scope) { throw denied }
      return try await route.handler(request, context)
    }
    return scope == .admin ? AuditLog.logging(guarded) : guarded
  }

  var all: [Route] { api + DashboardRoutes(service: service).all + [description] }

  private var description: Route {
    Route(method: .get, path: "/openapi.json", access: .open, operation: .description) { request, _ in
      let document = OpenAPIDocument(
        declarations: RouteDeclaration.all(self), version: service.node.version, protectStatus: protectStatus)
      return .tagged(try Response.encoded(document.value), for: request)
    }
  }

  private var api: [Route] {
    [
      Route(method: .get, path: "/", access: .open, operation: .signpost, handler: signpost),
      Route(method: .post, path: "/api/patterns/:name/execute", access: .scope(.execute), operation: .execute, handler: execute),
      Route(method: .get, path: "/api/executions", access: .scope(.read), operation: .listExecutions, handler: listExecutions),
      Route(method: .get, path: "/api/executions/:id", access: .scope(.read), operation: .getExecution) { request, context in
        let execution = try await service.execution(id: context.pathParameter("id"))
        let document = try Response.encoded(execution)
        return execution.status.isTerminal ? .tagged(document, for: request) : .json(document)
      },
      Route(method: .post, path: "/api/executions/:id/cancel", access: .scope(.execute), operation: .cancelExecution) { _, context in
        try await .json(service.cancelExecution(id: context.pathParameter("id")))
      },
      Route(method: .post, path: "/api/executions/:id/retry", access: .scope(.execute), operation: .retryExecution) { _, context in
        try await .json(service.retryExecution(id: context.pathParameter("id")), status: .accepted)
      },
      Route(method: .get, path: "/api/activity", access: .scope(.read), operation: .activity) { _, _ in try .json(service.recentActivity())
      },
      Route(method: .get, path: "/api/queues", access: .scope(.read), operation: .queues) { _, _ in try .json(service.queues()) },
      Route(method: .get, path: "/api/debug", access: .scope(.admin), operation: .debug) { _, _ in try .json(service.debug()) },
      Route(method: .get, path: "/api/debug/log", access: .scope(.admin), operation: .debugLog) { request, _ in
        let seconds = try QueryParameters(request.uri.query, known: ["seconds"]).number("seconds", in: 1...30) ?? 5
        return try await .json(service.debugLog(for: .seconds(seconds)))
      },
      Route(method: .get, path: "/api/events", access: .scope(.read), operation: .events, handler: events),
      Route(method: .get, path: "/api/patterns", access: .scope(.read), operation: .listPatterns, handler: listPatterns),
      Route(method: .post, path: "/api/patterns", access: .scope(.admin), operation: .storePattern, handler: storePattern),
      Route(method: .get, path: "/api/patterns/:name", access: .scope(.read), operation: .getPattern) { request, context in
        let version = try QueryParameters(request.uri.query, known: ["version"]).text("version")
        return try await .tagged(Response.encoded(service.pattern(name: context.pathParameter("name"), version: version)), for: request)
      },
      Route(method: .get, path: "/api/patterns/:name/versions", access: .scope(.read), operation: .patternVersions) { request, context in
        try await .tagged(Response.encoded(service.versions(ofPattern: context.pathParameter("name"))), for: request)
      },
      Route(method: .get, path: "/api/agents", access: .scope(.read), operation: .listAgents, handler: listAgents),
      Route(method: .get, path: "/api/agents/:id", access: .scope(.read), operation: .getAgent) { _, context in
        try await .json(service.agent(id: context.pathParameter("id")))
      },
      Route(method: .post, path: "/api/agents/:id/disconnect", access: .scope(.admin), operation: .disconnectAgent) { _, context in
        try await .json(service.disconnectAgent(id: context.pathParameter("id")))
      },
      Route(method: .get, path: "/ha/status", access: .status, operation: .status) { _, _ in try await .json(service.haStatus()) },
      Route(method: .get, path: "/ha/diagnosis", access: .scope(.read), operation: .diagnosis) { _, _ in
        try await .json(service.haDiagnosis())
      },
      Route(method: .post, path: "/ha/stepdown", access: .scope(.admin), operation: .stepDown) { request, _ in
        try await .json(service.stepDown(decode(StepDownRequest.self, from: request)))
      },
      Route(method: .post, path: "/ha/elect", access: .scope(.admin), operation: .elect) { request, _ in
        try await .json(service.elect(decode(ElectRequest.self, from: request)))
      },
      Route(method: .post, path: "/ha/pause", access: .scope(.admin), operation: .pause) { _, _ in try await .json(service.setPaused(true))
      },
      Route(method: .post, path: "/ha/resume", access: .scope(.admin), operation: .resume) { _, _ in
        try await .json(service.setPaused(false))
      },
    ]
  }

  /// Answers `GET /`: a browser is sent to the dashboard.
  @Sendable
  private func signpost(_ request: Request, _ context: APIRequestContext) throws -> Response {
    guard request.headers[.accept]?.contains("text/html") == true else { return try .json(Signpost()) }
    return .redirect(to: DashboardRoutes.path, type: .found)
  }

  // MARK: Executions

  @Sendable
  private func execute(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    let query = try QueryParameters(request.uri.query, known: ["async", "version"])
    let isAsync = try query.flag("async") ?? false
    let version = try query.text("version")
    let body = try await decode(ExecuteRequest.self, from: request)
    let answer = try await service.execute(
      pattern: context.pathParameter("name"), version: version, request: body, isAsync: isAsync)
    switch answer {
    case .accepted(let acceptance): return try .json(acceptance, status: .accepted)
    case .finished(let document): return try .json(document, status: Self.status(of: document))
    }
  }

  /// The status of a finished execution: 503 when it ended with NO_AGENTS, 408 after a time-out, else 200.
  static func status(of document: ExecutionDocument) -> HTTPResponse.Status {
    switch (document.status, document.error.flatMap { APIError.Code(rawValue: $0.code) }) {
    case (.failed, .noAgents): .serviceUnavailable
    case (.timedOut, _): .requestTimeout
    default: .ok
    }
  }

  @Sendable
  private func listExecutions(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    try await .json(service.executions(ExecutionQuery(QueryParameters(request.uri.query, known: ExecutionQuery.parameters))))
  }

  // MARK: Events

  @Sendable
  private func events(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    let names = try QueryParameters(request.uri.query, known: ["channels"]).list("channels")
    let channels = try names.map { name in
      guard let channel = ClusterEvent.Channel(rawValue: name) else {
        let known = ClusterEvent.Channel.allCases.map(\.rawValue).joined(separator: ", ")
        throw APIError(.validation, "channels: expected some of \(known), found \(name.prefix(64))", details: ["field": "channels"])
      }
      return channel
    }
    let lastID = request.headers[Self.lastEventID].flatMap { $0.isEmpty ? nil : $0 }
    return .events(service.events(after: lastID, channels: channels.isEmpty ? Set(ClusterEvent.Channel.allCases) : Set(channels)))
  }

  private static let lastEventID: HTTPField.Name = {
    guard let name = HTTPField.Name("Last-Event-ID") else { preconditionFailure("Last-Event-ID is a header name") }
    return name
  }()

  // MARK: Patterns

  @Sendable
  private func listPatterns(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    let query = try QueryParameters(request.uri.query, known: ["search", "limit", "offset"])
    return try await .json(
      service.patterns(
        search: query.text("search"), limit: query.number("limit", in: 1...100) ?? 20,
        offset: query.number("offset", in: 0...10_000) ?? 0))
  }

  @Sendable
  private func storePattern(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    let isDryRun = try QueryParameters(request.uri.query, known: ["dryRun"]).flag("dryRun") ?? false
    let contentType = request.headers[.contentType]?.split(separator: ";").first.map { $0.lowercased().filter { $0 != " " } }
    let body = try await collectBody(of: request)
    let stored = try await service.storePattern(
      PatternSource(bytes: Array(body.readableBytesView), contentType: contentType), isDryRun: isDryRun)
    return try .json(stored, status: stored.created && !isDryRun ? .created : .ok)
  }

  // MARK: Agents

  @Sendable
  private func listAgents(_ request: Request, _ context: APIRequestContext) async throws -> Response {
    let query = try QueryParameters(request.uri.query, known: ["status", "capabilities", "limit", "offset"])
    let list = try await service.agents(status: query.choice("status"), capabilities: query.list("capabilities"))
    let page = try list.page(limit: query.number("limit", in: 1...1_000) ?? 100, offset: query.number("offset", in: 0...10_000_000) ?? 0)
    return try .json(page)
  }

  // MARK: Bodies

  /// Reads the body as JSON, whatever its Content-Type; an empty body is an empty object.
  ///
  /// Unknown members are refused: a misspelled member would otherwise be ignored silently.
  private func decode<Document: Decodable>(_ type: Document.Type, from request: Request) async throws -> Document {
    let body = try await collectBody(of: request)
    if body.readableBytes == 0 { return try JSON.decode(type, from: "{}") }
    do {
      return try JSON.decode(type, from: body.readableBytesView, refusesUnknownMembers: true)
    } catch {
      throw APIError(decoding: error, of: "the request body")
    }
  }

  private func collectBody(of request: Request) async throws -> ByteBuffer {
    do {
      return try await request.body.collect(upTo: bodyLimit.value)
    } catch is NIOTooManyBytesError {
      var response = HTTPErrorResponse.bodyTooLarge(limit: bodyLimit.value)
      response.headers.append(("Connection", "close"))
      throw response
    }
  }
}

/// The body of `GET /`: the entry points of the API.
private struct Signpost: Encodable {
  let name = "parallax"
  let endpoints = [
    "dashboard": "GET \(DashboardRoutes.path)",
    "description": "GET /openapi.json",
    "execute": "POST /api/patterns/{name}/execute",
    "executions": "GET /api/executions",
    "patterns": "GET /api/patterns",
    "agents": "GET /api/agents",
    "queues": "GET /api/queues",
    "activity": "GET /api/activity",
    "events": "GET /api/events",
    "agentProtocol": "WebSocket \(WebSocketHandshake.path)",
    "cluster": "GET /ha/status",
    "diagnosis": "GET /ha/diagnosis",
    "health": "GET /health",
    "metrics": "GET /metrics",
  ]
}

extension APIRequestContext {
  /// A named part of the path, percent-decoded.
  func pathParameter(_ name: String) throws -> String {
    guard let value = parameters.get(name) else { preconditionFailure("the route has no parameter \(name)") }
    guard let decoded = try? PercentEncoding.decode(value[...]) else {
      throw APIError(.validation, "the path is not percent-encoded UTF-8: \(value)")
    }
    return decoded
  }
}
