import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Why a file cannot be read, in words that follow "the file".
struct FileProblem: Error, Sendable, Equatable, CustomStringConvertible {
  let description: String

  /// Finds out why a file could not be read.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - expected: What its contents should be, if nothing else stands in the way, such as "UTF-8 text".
  init(of path: String, expected: String) {
    var status = stat()
    if stat(path, &status) != 0 {
      self.init(errno: errno)
    } else if status.st_mode & S_IFMT == S_IFDIR {
      self.init("is a folder")
    } else if access(path, R_OK) != 0 {
      self.init(errno: errno)
    } else {
      self.init("does not hold \(expected)")
    }
  }

  private init(_ description: String) {
    self.description = description
  }

  /// Words an error of the system.
  init(errno code: Int32) {
    switch code {
    case ENOENT, ENOTDIR: self.init("does not exist")
    case EACCES, EPERM: self.init("cannot be read by this user: permission denied")
    default: self.init("cannot be read: \(String(cString: strerror(code)))")
    }
  }
}
