public import Foundation

/// A small file that processes of one machine read and write one after the other.
///
/// The `flock` is on a separate file; a write replaces the file atomically, so a reader sees all of it or nothing.
public struct LockedFile: Sendable {
  private let url: URL

  /// Creates the value without touching the file.
  ///
  /// - Parameter path: The path of the file, on a file system of this machine: `flock` may have no effect on a network file system.
  public init(path: String) {
    url = URL(fileURLWithPath: path)
  }

  /// The content of the file; `nil` if it is missing.
  public func contents() throws -> Data? {
    do { return try Data(contentsOf: url) } catch CocoaError.fileReadNoSuchFile { return nil }
  }

  /// Reads the file and writes the result of a body, under the lock.
  ///
  /// - Parameter body: Receives the content, and returns the content to write, if any, and a value.
  /// - Returns: The value of the body.
  /// - Throws: The error of the file system or of the body; `CancellationError` if the task is cancelled while it waits for the lock.
  public func update<Value>(_ body: (Data?) throws -> (written: Data?, value: Value)) async throws -> Value {
    let lock = open(url.path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    // Closing the file releases the lock, even if this process dies.
    defer { close(lock) }
    while flock(lock, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
      // A store must not block a thread of the pool.
      try await Task.sleep(for: .milliseconds(2))
    }
    let (written, value) = try body(contents())
    if let written { try written.write(to: url, options: .atomic) }
    return value
  }
}
