#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The JSON form of a record for stores and operators.
extension ElectionRecord: Codable {
  /// The format that this version writes, and the newest one that it reads.
  static let formatVersion = 1

  /// More bytes than any record has; longer data is no record.
  private static let maximumSize = 65_536

  /// Encodes the record for a store: JSON with sorted fields.
  ///
  /// - Returns: The bytes.
  /// - Throws: ``ElectionError`` with `unreadableRecord` if the record has values that no node would accept.
  public func encoded() throws(ElectionError) -> [UInt8] {
    if let fault { throw .unreadable("the record to write is not valid: \(fault)") }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(self))
    } catch {
      throw .unreadable("the record could not be encoded", cause: error)
    }
  }

  /// Decodes the bytes of a store.
  ///
  /// - Parameter bytes: The result of ``encoded()``, of this version or the one before.
  /// - Throws: ``ElectionError`` with `unreadableRecord`; such a record must not be overwritten.
  public init(decoding bytes: some Collection<UInt8>) throws(ElectionError) {
    guard bytes.count <= Self.maximumSize else { throw .unreadable("it has \(bytes.count) bytes") }
    do {
      self = try JSONDecoder().decode(ElectionRecord.self, from: Data(bytes))
    } catch {
      throw .unreadable("it is not an election record that this version can read", cause: error)
    }
    if let fault { throw .unreadable(fault) }
  }

  private enum CodingKeys: String, CodingKey {
    case version, leader, address, incarnation, term, sequence, leaseDuration, request, acquiredAt, renewedAt
    case clusterID = "clusterId"
    case renewalCount = "renewal"
    case transitionCount = "transitions"
    case isBootstrap = "bootstrap"
    case reservation = "reserved"
    case cooldown = "barred"
    case isPaused = "paused"
    case isWitnessed = "witnessed"
  }

  /// Reads the fields of the JSON form.
  ///
  /// - Parameter decoder: The source.
  /// - Throws: `DecodingError` if a field is missing or of another type, or the format is newer than this version's.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    let version = try fields.decode(Int.self, forKey: .version)
    guard (1...Self.formatVersion).contains(version) else {
      throw DecodingError.dataCorruptedError(
        forKey: .version, in: fields, debugDescription: "format \(version); this node reads up to \(Self.formatVersion): update it")
    }
    clusterID = try fields.decode(String.self, forKey: .clusterID)
    leader = try fields.decodeIfPresent(String.self, forKey: .leader)
    address = try fields.decodeIfPresent(String.self, forKey: .address)
    incarnation = try fields.decode(String.self, forKey: .incarnation)
    term = try fields.decode(Int64.self, forKey: .term)
    renewalCount = try fields.decode(Int64.self, forKey: .renewalCount)
    sequence = try fields.decode(Int64.self, forKey: .sequence)
    transitionCount = try fields.decode(Int64.self, forKey: .transitionCount)
    leaseDuration = .milliseconds(try fields.decode(Int64.self, forKey: .leaseDuration))
    isBootstrap = try fields.decodeIfPresent(Bool.self, forKey: .isBootstrap) ?? false
    request = try fields.decodeIfPresent(ElectionRequest.self, forKey: .request)
    reservation = try fields.decodeIfPresent(ElectionHold.self, forKey: .reservation)
    cooldown = try fields.decodeIfPresent(ElectionHold.self, forKey: .cooldown)
    isPaused = try fields.decodeIfPresent(Bool.self, forKey: .isPaused) ?? false
    isWitnessed = try fields.decodeIfPresent(Bool.self, forKey: .isWitnessed) ?? false
    acquiredAt = try fields.decodeIfPresent(String.self, forKey: .acquiredAt).flatMap { try? Date($0, strategy: Self.instant) }
    renewedAt = try fields.decodeIfPresent(String.self, forKey: .renewedAt).flatMap { try? Date($0, strategy: Self.instant) }
  }

  /// Writes the fields of the JSON form; `leader` is null without a leader.
  ///
  /// - Parameter encoder: The destination.
  /// - Throws: The error of the encoder.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(Self.formatVersion, forKey: .version)
    try fields.encode(clusterID, forKey: .clusterID)
    try fields.encode(leader, forKey: .leader)
    try fields.encodeIfPresent(address, forKey: .address)
    try fields.encode(incarnation, forKey: .incarnation)
    try fields.encode(term, forKey: .term)
    try fields.encode(renewalCount, forKey: .renewalCount)
    try fields.encode(sequence, forKey: .sequence)
    try fields.encode(transitionCount, forKey: .transitionCount)
    try fields.encode(leaseDuration.milliseconds, forKey: .leaseDuration)
    try fields.encode(isBootstrap, forKey: .isBootstrap)
    try fields.encodeIfPresent(request, forKey: .request)
    try fields.encodeIfPresent(reservation, forKey: .reservation)
    try fields.encodeIfPresent(cooldown, forKey: .cooldown)
    try fields.encode(isPaused, forKey: .isPaused)
    if isWitnessed { try fields.encode(true, forKey: .isWitnessed) }
    try fields.encodeIfPresent(acquiredAt?.formatted(Self.instant), forKey: .acquiredAt)
    try fields.encodeIfPresent(renewedAt?.formatted(Self.instant), forKey: .renewedAt)
  }

  private static let instant = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}

/// The duration is in milliseconds.
extension ElectionHold: Codable {
  private enum CodingKeys: String, CodingKey { case id, node, duration }

  /// Reads the fields of the JSON form.
  ///
  /// - Parameter decoder: The source.
  /// - Throws: `DecodingError` if a field is missing or of another type.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    id = try fields.decode(String.self, forKey: .id)
    node = try fields.decode(String.self, forKey: .node)
    duration = .milliseconds(try fields.decode(Int64.self, forKey: .duration))
  }

  /// Writes the fields of the JSON form.
  ///
  /// - Parameter encoder: The destination.
  /// - Throws: The error of the encoder.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(id, forKey: .id)
    try fields.encode(node, forKey: .node)
    try fields.encode(duration.milliseconds, forKey: .duration)
  }
}

extension Duration {
  /// Whole milliseconds, rounded up: rounding must never shorten another node's wait.
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
  }
}
