import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// Reads Server-Sent Events from bytes in pieces of any size.
struct EventStreamParser {
  struct Event: Equatable {
    var name: String
    var data: String
  }

  /// The id of the last complete event that had one.
  private(set) var lastID: String?
  private var line: [UInt8] = []
  private var name = ""
  private var id: String?
  private var data: [String] = []

  /// Reads a piece, and returns the events that it completes.
  mutating func read(_ bytes: some Sequence<UInt8>) -> [Event] {
    var events: [Event] = []
    for byte in bytes {
      guard byte == UInt8(ascii: "\n") else {
        if byte != UInt8(ascii: "\r") { line.append(byte) }
        continue
      }
      if let event = take(String(decoding: line, as: UTF8.self)) { events.append(event) }
      line.removeAll(keepingCapacity: true)
    }
    return events
  }

  /// Forgets an incomplete event, because the stream has ended.
  mutating func end() {
    line = []
    (name, id, data) = ("", nil, [])
  }

  private mutating func take(_ line: String) -> Event? {
    guard !line.isEmpty else {
      defer { (name, id, data) = ("", nil, []) }
      guard !data.isEmpty else { return nil }
      lastID = id ?? lastID
      return Event(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"))
    }
    let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let value = parts.count > 1 ? String(parts[1].hasPrefix(" ") ? parts[1].dropFirst() : parts[1]) : ""
    switch parts[0] {
    case "event": name = value
    case "id": id = value
    case "data": data.append(value)
    default: break
    }
    return nil
  }
}

extension ControlPlaneClient {
  /// Reads the events of channels until the body returns false or the task is cancelled.
  ///
  /// A stream that ends, as each one does after some minutes, or breaks is read on behind its last event, at the next node if need be; the
  /// event `gap` tells of lost ones.
  /// - Parameters:
  ///   - channels: The channels, separated by commas.
  ///   - body: Takes an event; returns whether to go on.
  /// - Throws: ``CommandFailure``, of `.unreachable` if no node answers.
  func events(channels: String, _ body: (EventStreamParser.Event) async throws -> Bool) async throws {
    var parser = EventStreamParser()
    while true {
      let response = try await openEvents(channels: channels, after: parser.lastID)
      do {
        for try await chunk in response.body {
          for event in parser.read(chunk.readableBytesView) {
            guard try await body(event) else { return }
          }
        }
      } catch let failure as CommandFailure {
        throw failure
      } catch {
        try Task.checkCancellation()
      }
      parser.end()
      try await ContinuousClock().sleep(for: .seconds(1))
    }
  }

  private func openEvents(channels: String, after lastID: String?) async throws -> HTTPClientResponse {
    var faults: [String] = []
    var isAnswered = false
    for address in addresses {
      var request = request("GET", address + "/api/events" + Self.text(of: [("channels", channels)]))
      if let lastID { request.headers.add(name: "last-event-id", value: lastID) }
      let response: HTTPClientResponse
      do {
        response = try await client.execute(request, timeout: .hours(1))
      } catch {
        faults.append("\(address): \(Self.reason(error))")
        continue
      }
      if response.status == .ok { return response }
      let answer = Data(buffer: try await response.body.collect(upTo: Self.largestAnswer))
      let refusal = Self.refusal(Int(response.status.code), answer, from: address)
      guard refusal.isElsewhere else { throw CommandFailure(.failed, refusal.message) }
      isAnswered = true
      faults.append("\(address): \(refusal.message)")
    }
    throw Self.unreachable(faults, isAnswered: isAnswered)
  }
}
