package import ParallaxAPI
import ParallaxHA

/// The format of messages between nodes of different versions: an object with the format's version, a type, and the fields of the type.
extension NodeMessage: Codable {
  /// The version to write, and the newest version to read.
  private static let formatVersion = 1

  private enum CodingKeys: String, CodingKey {
    case version, type, task, cancellation, agent, owner, deadline, execution, watcher
  }

  private enum Kind: String, Codable, JSONWritable {
    case deliver, withdraw, recorded, cancel, adopt, adopted, declined, watch, ended, disconnect
  }

  /// Decodes a message of this version of the format or an older one; throws `DecodingError` for a newer one.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let version = try container.decode(Int.self, forKey: .version)
    guard version <= Self.formatVersion else {
      throw DecodingError.dataCorruptedError(
        forKey: .version, in: container, debugDescription: "format \(version) is newer than \(Self.formatVersion)")
    }
    switch try container.decode(Kind.self, forKey: .type) {
    case .deliver:
      self = .deliver(
        try container.decode(ControlPlaneMessage.Task.self, forKey: .task), agent: try container.decode(String.self, forKey: .agent),
        owner: try Self.session(.owner, in: container), deadline: try container.decodeIfPresent(Timestamp.self, forKey: .deadline))
    case .withdraw:
      self = .withdraw(
        try container.decode(ControlPlaneMessage.TaskCancelled.self, forKey: .cancellation),
        agent: try container.decode(String.self, forKey: .agent))
    case .recorded:
      self = .recorded(
        execution: try container.decode(String.self, forKey: .execution), task: try container.decode(String.self, forKey: .task))
    case .cancel: self = .cancel(execution: try container.decode(String.self, forKey: .execution))
    case .adopt:
      self = .adopt(
        execution: try container.decode(String.self, forKey: .execution), owner: try Self.session(.owner, in: container))
    case .adopted: self = .adopted(execution: try container.decode(String.self, forKey: .execution))
    case .declined: self = .declined(execution: try container.decode(String.self, forKey: .execution))
    case .watch:
      self = .watch(
        execution: try container.decode(String.self, forKey: .execution), watcher: try Self.session(.watcher, in: container))
    case .ended: self = .ended(execution: try container.decode(String.self, forKey: .execution))
    case .disconnect: self = .disconnect(agent: try container.decode(String.self, forKey: .agent))
    }
  }

  /// Encodes the message with the version of the format.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.formatVersion, forKey: .version)
    try container.encode(kind, forKey: .type)
    switch self {
    case .deliver(let task, let agent, let owner, let deadline):
      try container.encode(task, forKey: .task)
      try container.encode(agent, forKey: .agent)
      try container.encode(owner.description, forKey: .owner)
      try container.encodeIfPresent(deadline, forKey: .deadline)
    case .withdraw(let cancellation, let agent):
      try container.encode(cancellation, forKey: .cancellation)
      try container.encode(agent, forKey: .agent)
    case .recorded(let execution, let task):
      try container.encode(execution, forKey: .execution)
      try container.encode(task, forKey: .task)
    case .adopt(let execution, let owner):
      try container.encode(execution, forKey: .execution)
      try container.encode(owner.description, forKey: .owner)
    case .watch(let execution, let watcher):
      try container.encode(execution, forKey: .execution)
      try container.encode(watcher.description, forKey: .watcher)
    case .cancel(let execution), .adopted(let execution), .declined(let execution), .ended(let execution):
      try container.encode(execution, forKey: .execution)
    case .disconnect(let agent):
      try container.encode(agent, forKey: .agent)
    }
  }

  private var kind: Kind {
    switch self {
    case .deliver: .deliver
    case .withdraw: .withdraw
    case .recorded: .recorded
    case .cancel: .cancel
    case .adopt: .adopt
    case .adopted: .adopted
    case .declined: .declined
    case .watch: .watch
    case .ended: .ended
    case .disconnect: .disconnect
    }
  }

  private static func session(_ key: CodingKeys, in container: KeyedDecodingContainer<CodingKeys>) throws -> NodeSession {
    guard let session = NodeSession(try container.decode(String.self, forKey: key)) else {
      throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "expected a node id and an incarnation")
    }
    return session
  }
}

extension NodeMessage: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      switch self {
      case .deliver(let task, let agent, let owner, let deadline):
        json.member("agent", agent)
        json.member("deadline", deadline)
        json.member("owner", owner.description)
        json.member("task", task)
      case .withdraw(let cancellation, let agent):
        json.member("agent", agent)
        json.member("cancellation", cancellation)
      case .recorded(let execution, let task):
        json.member("execution", execution)
        json.member("task", task)
      case .adopt(let execution, let owner):
        json.member("execution", execution)
        json.member("owner", owner.description)
      case .cancel(let execution), .adopted(let execution), .declined(let execution), .watch(let execution, _), .ended(let execution):
        json.member("execution", execution)
      case .disconnect(let agent):
        json.member("agent", agent)
      }
      json.member("type", kind)
      json.member("version", Self.formatVersion)
      if case .watch(_, let watcher) = self { json.member("watcher", watcher.description) }
    }
  }
}
