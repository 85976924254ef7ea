public import Foundation

/// A small file that processes of one machine read and write one after the other.
///
/// `flock` is held on a file beside it; what is written replaces the file at once, so that whoever reads sees all of it or nothing.
public struct LockedFile: Sendable {
  private let url: URL

  /// Makes it; nothing happens to the file.
  ///
  /// - Parameter path: Where the file is, on a file system of this machine: over a network `flock` may promise nothing.
  public init(path: String) {
    url = URL(fileURLWithPath: path)
  }

  /// What the file contains; `nil` if there is none.
  public func contents() throws -> Data? {
    do { return try Data(contentsOf: url) } catch CocoaError.fileReadNoSuchFile { return nil }
  }

  /// Reads the file and writes what a body makes of it, while nobody else does.
  ///
  /// - Parameter body: Is given what the file contains, and says what to write, if anything, and what to return.
  /// - Returns: What the body returns.
  /// - Throws: What the file system throws; what the body throws; `CancellationError` while others hold the lock.
  public func update<Value>(_ body: (Data?) throws -> (written: Data?, value: Value)) async throws -> Value {
    let lock = open(url.path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    // Closing it gives up the lock, also when this process dies.
    defer { close(lock) }
    while flock(lock, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
      // A store must not block the thread that others need.
      try await Task.sleep(for: .milliseconds(2))
    }
    let (written, value) = try body(contents())
    if let written { try written.write(to: url, options: .atomic) }
    return value
  }
}
