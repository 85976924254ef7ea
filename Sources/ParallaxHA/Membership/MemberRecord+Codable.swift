#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MemberRecord: Codable {
  private enum CodingKeys: String, CodingKey {
    case format, id, address, incarnation, sequence, role, term, health, executions, agents, checkInterval, startedAt, lastHeartbeat
    case version, clusterId
    case end = "ended"
  }

  /// The accepted intervals: another node's record must not make this node wait forever.
  private static let intervals = 1...Int64(600_000)

  /// Reads a record; throws `DecodingError` for a newer format, a missing field or a value out of bounds.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let format = try container.decode(Int.self, forKey: .format)
    guard format <= Self.formatVersion else {
      throw DecodingError.dataCorruptedError(
        forKey: .format, in: container, debugDescription: "format \(format) is newer than \(Self.formatVersion): update this node")
    }
    let interval = try container.decode(Int64.self, forKey: .checkInterval)
    guard Self.intervals.contains(interval) else {
      throw DecodingError.dataCorruptedError(
        forKey: .checkInterval, in: container, debugDescription: "\(interval) is not between 1 and \(Self.intervals.upperBound) ms")
    }
    let report = MemberReport(
      role: try container.decode(MemberRole.self, forKey: .role), term: try container.decode(Int64.self, forKey: .term),
      health: try container.decode(MemberHealth.self, forKey: .health), executions: try container.decode(Int.self, forKey: .executions),
      agents: try container.decode(Int.self, forKey: .agents))
    self.init(
      session: NodeSession(
        nodeID: try container.decode(String.self, forKey: .id), incarnation: try container.decode(String.self, forKey: .incarnation)),
      clusterID: try container.decodeIfPresent(String.self, forKey: .clusterId),
      address: try container.decode(String.self, forKey: .address), sequence: try container.decode(Int64.self, forKey: .sequence),
      report: report, checkInterval: .milliseconds(interval), startedAt: try Self.instant(.startedAt, in: container),
      lastHeartbeat: try Self.instant(.lastHeartbeat, in: container), version: try container.decode(String.self, forKey: .version))
    end = try container.decodeIfPresent(MemberEnd.self, forKey: .end)
  }

  /// Writes the record with its format version.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.formatVersion, forKey: .format)
    try container.encode(id, forKey: .id)
    try container.encode(address, forKey: .address)
    try container.encode(incarnation, forKey: .incarnation)
    try container.encodeIfPresent(clusterID, forKey: .clusterId)
    try container.encode(sequence, forKey: .sequence)
    try container.encode(report.role, forKey: .role)
    try container.encode(report.term, forKey: .term)
    try container.encode(report.health, forKey: .health)
    try container.encode(report.executions, forKey: .executions)
    try container.encode(report.agents, forKey: .agents)
    try container.encode(checkInterval.roundedMilliseconds, forKey: .checkInterval)
    try container.encode(Self.text(of: startedAt), forKey: .startedAt)
    try container.encode(Self.text(of: lastHeartbeat), forKey: .lastHeartbeat)
    try container.encode(version, forKey: .version)
    try container.encodeIfPresent(end, forKey: .end)
  }

  private static func text(of instant: Date) -> String { InstantText.text(of: instant) }

  private static func instant(_ key: CodingKeys, in container: KeyedDecodingContainer<CodingKeys>) throws -> Date {
    try InstantText.instant(key, in: container)
  }
}

extension MemberEnd: Codable {
  private enum CodingKeys: String, CodingKey { case at, signal, status }

  /// Reads an end; throws `DecodingError` without an instant.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(at: try InstantText.instant(.at, in: container))
    if let signal = try container.decodeIfPresent(Int32.self, forKey: .signal) {
      cause = .signal(signal)
    } else if let status = try container.decodeIfPresent(Int32.self, forKey: .status) {
      cause = .status(status)
    }
  }

  /// Writes the instant, and the signal or the status if one is known.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(InstantText.text(of: at), forKey: .at)
    switch cause {
    case .signal(let number): try container.encode(number, forKey: .signal)
    case .status(let status): try container.encode(status, forKey: .status)
    case nil: break
    }
  }
}

/// Instants for people: ISO 8601 in UTC, to the millisecond.
private enum InstantText {
  private static let withMilliseconds = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  static func text(of instant: Date) -> String {
    // The style truncates, and a double rarely represents a whole millisecond: adding half a millisecond makes the result exact.
    instant.addingTimeInterval(0.000_5).formatted(withMilliseconds)
  }

  static func instant<Key: CodingKey>(_ key: Key, in container: KeyedDecodingContainer<Key>) throws -> Date {
    let text = try container.decode(String.self, forKey: key)
    guard let instant = (try? withMilliseconds.parse(text)) ?? (try? Date.ISO8601FormatStyle().parse(text)) else {
      throw DecodingError.dataCorruptedError(
        forKey: key, in: container, debugDescription: "expected an ISO 8601 instant such as 2026-01-15T10:30:00.250Z, found \"\(text)\"")
    }
    return instant
  }
}

extension Duration {
  /// The duration in milliseconds, rounded up, so that no positive duration becomes zero.
  fileprivate var roundedMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    let unit: Int64 = 1_000_000_000_000_000
    return seconds * 1_000 + (attoseconds + unit - 1) / unit
  }
}
