import Foundation
public import ParallaxHA

/// Keeps the record of an election in a file, for processes of one machine: a complete store of your own.
///
/// The bytes of the record are its version, since no two versions of a record have the same bytes.
public struct FileElectionStore: ElectionStore {
  private let file: LockedFile
  private let pollInterval: Duration

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - path: The path of the record, on a file system of this machine.
  ///   - pollInterval: The interval of checks for changes of the file; 20 ms by default.
  public init(path: String, pollInterval: Duration = .milliseconds(20)) {
    file = LockedFile(path: path)
    self.pollInterval = pollInterval
  }

  /// Reads the record.
  public func read() async throws -> ElectionSnapshot? {
    try Self.snapshot(of: file.contents())
  }

  /// Writes a record if the stored version is the expected one.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    let bytes = try record.encoded()
    return try await file.update { contents in
      // A record that cannot be decoded throws here, so it is never overwritten.
      let current = try Self.snapshot(of: contents)
      guard current?.version == expecting else { return (nil, .conflict(current)) }
      return (Data(bytes), .written(ElectionVersion(bytes)))
    }
  }

  /// Reports changes of the file; without this method, nodes would notice a release at their next read.
  public func changes() -> AsyncStream<ElectionSnapshot> {
    let (stream, continuation) = AsyncStream.makeStream(of: ElectionSnapshot.self, bufferingPolicy: .bufferingNewest(1))
    let watch = Task {
      var last: ElectionVersion?
      while !Task.isCancelled {
        if let snapshot = try? await read(), snapshot.version != last {
          last = snapshot.version
          continuation.yield(snapshot)
        }
        try? await Task.sleep(for: pollInterval)
      }
    }
    continuation.onTermination = { _ in watch.cancel() }
    return stream
  }

  private static func snapshot(of contents: Data?) throws -> ElectionSnapshot? {
    guard let bytes = contents.map(Array.init) else { return nil }
    return ElectionSnapshot(record: try ElectionRecord(decoding: bytes), version: ElectionVersion(bytes))
  }
}
