import Foundation
import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// A backend whose stores are files in a directory, as an example of a backend outside the product.
///
/// The directory serves one process at a time, which caches its contents. Executions, agents, patterns, sessions, members, messages and the
/// election record survive the process.
struct FileBackend: Backend {
  let state: any StateStore
  let election: any ElectionStore
  let membership: any MembershipStore
  let inboxes: any InboxStore
  let events: any EventBus = InMemoryEventBus()

  init(directory: URL, inboxCapacity: Int = 100_000) throws {
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    state = try FileStateStore(directory.appending(path: "state.json"))
    election = FileElectionStore(directory.appending(path: "leader.json"))
    membership = try FileMembershipStore(directory.appending(path: "members.json"))
    inboxes = try FileInboxStore(directory.appending(path: "inboxes.json"), capacity: inboxCapacity)
  }

  var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: false) }
}

/// A value that is saved to a file after each change.
private struct Saved<Value: Codable> {
  private let url: URL

  init(_ url: URL) { self.url = url }

  func load() throws -> Value? {
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    return try JSONDecoder().decode(Value.self, from: Data(contentsOf: url))
  }

  func save(_ value: Value) throws {
    try JSONEncoder().encode(value).write(to: url, options: .atomic)
  }
}

// MARK: - Election

private struct FileElectionStore: ElectionStore {
  private let url: URL
  private let lock = Lock()

  private final class Lock: Sendable {
    let mutex = Mutex(())
  }

  init(_ url: URL) { self.url = url }

  var needsBootstrapWait: Bool { false }

  func read() async throws -> ElectionSnapshot? { try lock.mutex.withLock { _ in try stored() } }

  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    let bytes = try record.encoded()
    return try lock.mutex.withLock { _ in
      let current = try stored()
      guard current?.version == expecting else { return .conflict(current) }
      try Data(bytes).write(to: url, options: .atomic)
      return .written(ElectionVersion(bytes))
    }
  }

  private func stored() throws -> ElectionSnapshot? {
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let bytes = Array(try Data(contentsOf: url))
    return ElectionSnapshot(record: try ElectionRecord(decoding: bytes), version: ElectionVersion(bytes))
  }
}

// MARK: - Members and messages

private final class FileMembershipStore: MembershipStore {
  private let file: Saved<[MemberRecord]>
  private let store = InMemoryMembershipStore()

  init(_ url: URL) throws {
    file = Saved(url)
    for record in try file.load() ?? [] { _ = store.write(record, replacing: nil) }
  }

  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    let outcome = store.write(record, replacing: incarnation)
    try file.save(store.members().records)
    return outcome
  }

  func members() async throws -> MembershipSnapshot { store.members() }

  func remove(_ session: NodeSession) async throws {
    store.remove(session)
    try file.save(store.members().records)
  }

  func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool {
    defer { try? file.save(store.members().records) }
    return store.markEnded(session, end)
  }
}

private final class FileInboxStore: InboxStore {
  private struct Letter: Codable {
    var session: NodeSession
    var message: NodeMessage
  }

  private let file: Saved<[Letter]>
  private let store: InMemoryInboxStore
  private let letters: Mutex<[Letter]>

  init(_ url: URL, capacity: Int) throws {
    file = Saved(url)
    store = InMemoryInboxStore(capacity: capacity)
    let letters = try file.load() ?? []
    for letter in letters { _ = store.send([letter.message], to: letter.session) }
    self.letters = Mutex(letters)
  }

  func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool {
    guard store.send(messages, to: session) else { return false }
    try change { $0 += messages.map { Letter(session: session, message: $0) } }
    return true
  }

  func receive(at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void) async throws {
    try await store.receive(at: session, limit: limit) { messages in
      try await handle(messages)
      try self.change { letters in
        for _ in messages { if let index = letters.firstIndex(where: { $0.session == session }) { letters.remove(at: index) } }
      }
    }
  }

  func removeInbox(of session: NodeSession) async throws {
    store.removeInbox(of: session)
    try change { $0.removeAll { $0.session == session } }
  }

  private func change(_ body: (inout [Letter]) -> Void) throws {
    try letters.withLock { letters in
      body(&letters)
      try file.save(letters)
    }
  }
}
