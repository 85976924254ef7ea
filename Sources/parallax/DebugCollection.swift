import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import ParallaxAPI
import Synchronization

/// What a node has told for the archive of `parallax debug`.
struct DebugCollection: Sendable {
  /// A file, or the reason why there is none.
  typealias Piece = Result<Data, CommandFailure>

  /// The most events that are kept of a node.
  private static let maxEvents = 10_000

  /// The address that was asked, without credentials.
  let server: String
  private(set) var pieces: [DebugPart: Piece] = [:]

  /// Asks one node, which takes a little longer than the time of its log and events.
  ///
  /// - Parameters:
  ///   - client: A client of this node alone.
  ///   - duration: The time of the log, of the events, and between the two looks at the metrics.
  /// - Returns: What the node has told.
  static func gather(from client: ControlPlaneClient, for duration: Duration) async -> DebugCollection {
    var collection = DebugCollection(server: withoutCredentials(client.addresses[0]))
    collection.pieces[.health] = await piece { readable(try await client.document("/health/ready", acceptsAnyStatus: true)) }
    collection.pieces[.metricsBefore] = await piece { try await client.document("/metrics") }
    async let log = piece { try await client.log(for: duration) }
    async let events = piece { try await client.events(for: duration) }
    async let diagnosis = piece { readable(try await client.document("/ha/diagnosis")) }
    async let status = piece { readable(try await client.document("/ha/status")) }
    async let queues = piece { readable(try await client.document("/api/queues")) }
    async let debug = piece { try await client.document("/api/debug") }
    async let pause: Void? = try? ContinuousClock().sleep(for: duration)
    collection.pieces[.diagnosis] = await diagnosis
    collection.pieces[.status] = await status
    collection.pieces[.queues] = await queues
    collection.split(await debug)
    collection.pieces[.events] = await events
    collection.pieces[.log] = await log
    _ = await pause
    collection.pieces[.metricsAfter] = await piece { try await client.document("/metrics") }
    return collection
  }

  /// Whether the node has answered anything.
  var isAnswered: Bool { pieces.values.contains { if case .success = $0 { true } else { false } } }

  /// What is missing, with the reasons.
  var missing: [String: String] {
    var missing: [String: String] = [:]
    for (part, piece) in pieces {
      if case .failure(let failure) = piece { missing[part.rawValue] = failure.message }
    }
    return missing
  }

  /// The id and the version of the node, as far as it has told them.
  var node: (id: String?, version: String?) {
    guard case .success(let data) = pieces[.health], let health = try? JSON.decode(HealthDocument.self, from: data) else {
      return (nil, nil)
    }
    return (health.nodeId, health.version)
  }

  /// Makes the configuration a file of its own, which people read.
  private mutating func split(_ debug: Piece) {
    switch debug {
    case .failure: (pieces[.process], pieces[.configuration]) = (debug, debug)
    case .success(let data):
      pieces[.process] = Self.piece(data) { value in
        var members = value
        members["configuration"] = nil
        return Self.readable(Data(try JSONValue.object(members).jsonText.utf8))
      }
      pieces[.configuration] = Self.piece(data) { value in
        guard case .string(let text)? = value["configuration"] else { throw CommandFailure(.failed, "the answer has no configuration") }
        return Data(text.utf8)
      }
    }
  }

  /// A document of JSON on several lines; any other text as it is.
  private static func readable(_ data: Data) -> Data {
    guard let value = try? JSON.decode(JSONValue.self, from: data, depthLimit: JSON.documentDepthLimit),
      let text = try? Printer.indented(value)
    else { return data }
    return Data((text + "\n").utf8)
  }

  private static func piece(_ data: Data, _ convert: ([String: JSONValue]) throws -> Data) -> Piece {
    Result {
      guard case .object(let members) = try Printer.decode(data, as: JSONValue.self) else { return Data() }
      return try convert(members)
    }.mapError(failure)
  }

  private static func piece(_ body: () async throws -> Data) async -> Piece {
    do {
      return .success(try await body())
    } catch {
      return .failure(failure(error))
    }
  }

  private static func failure(_ error: any Error) -> CommandFailure {
    error as? CommandFailure ?? CommandFailure(.failed, ControlPlaneClient.reason(error))
  }

  /// An address without a user and a password.
  static func withoutCredentials(_ address: String) -> String {
    guard var parts = URLComponents(string: address) else { return "an address that cannot be read" }
    (parts.user, parts.password) = (nil, nil)
    return parts.string ?? "an address that cannot be read"
  }

  /// Events as lines.
  fileprivate final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    /// Adds an event; false if no more are wanted.
    func add(_ event: EventStreamParser.Event) -> Bool {
      lines.withLock { lines in
        let data = (try? JSON.decode(JSONValue.self, from: event.data)) ?? .string(event.data)
        lines.append((try? JSONValue.object(["event": .string(event.name), "data": data]).jsonText) ?? "")
        return lines.count < DebugCollection.maxEvents
      }
    }

    var data: Data { Data(lines.withLock { $0.map { $0 + "\n" }.joined() }.utf8) }
  }
}

extension ControlPlaneClient {
  /// The answer to a request of a document, or of a text.
  fileprivate func document(_ path: String, acceptsAnyStatus: Bool = false) async throws -> Data {
    guard acceptsAnyStatus else { return try await get(path) }
    let response = try await client.execute(request("GET", addresses[0] + path), timeout: .seconds(30))
    return Data(buffer: try await response.body.collect(upTo: Self.largestAnswer))
  }

  fileprivate func log(for duration: Duration) async throws -> Data {
    let path = "/api/debug/log?seconds=\(duration.components.seconds)"
    let document = try Printer.decode(try await get(path, timeout: duration + .seconds(30)), as: LogDocument.self)
    let rest = document.omitted > 0 ? "… \(document.omitted) more lines\n" : ""
    return Data((document.lines.joined() + rest).utf8)
  }

  fileprivate func events(for duration: Duration) async throws -> Data {
    let lines = DebugCollection.Lines()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await events(channels: "execution,agent,cluster") { lines.add($0) } }
      group.addTask { try await ContinuousClock().sleep(for: duration) }
      try await group.next()
      group.cancelAll()
      // The stream ends by its cancellation.
      while await group.nextResult() != nil {}
    }
    return lines.data
  }
}
