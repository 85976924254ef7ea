import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Standard error, written by a thread of its own: a reader that takes nothing must not hold up a report, nor the end of this process.
///
/// The thread exists from the first line on, so there is none while the node lives.
enum ErrorOutput {
  private static let queue = DispatchQueue(label: "parallax-witness.stderr")
  /// A reader that lives takes a line within this time.
  private static let patience = DispatchTimeInterval.milliseconds(500)

  /// Writes text, at some time before ``flush()`` returns or never.
  static func write(_ text: String) {
    queue.async { writeAll(text) }
  }

  /// Waits until everything is written, or nobody reads.
  static func flush() {
    let isWritten = DispatchSemaphore(value: 0)
    queue.async { isWritten.signal() }
    _ = isWritten.wait(timeout: .now() + patience)
  }

  private static func writeAll(_ text: String) {
    _ = text.utf8CString.withUnsafeBytes { bytes in
      #if canImport(Glibc)
      Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count - 1)
      #elseif canImport(Musl)
      Musl.write(STDERR_FILENO, bytes.baseAddress, bytes.count - 1)
      #else
      Darwin.write(STDERR_FILENO, bytes.baseAddress, bytes.count - 1)
      #endif
    }
  }
}
