import ParallaxWitness

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The pipe from the node on standard input, and a descriptor of the node's process where the kernel has such.
///
/// The process descriptor is the better proof: it becomes readable when all threads of the node have ended, whatever became of the pipe.
/// Without it the end of file counts, since only the node has the writing end, and closes it only after it has discharged its witness.
struct NodePipe {
  private var inbox = WitnessInbox()
  private let processDescriptor: Int32

  /// Opens the node's process.
  ///
  /// - Parameter process: The node, which is the parent of this process unless it has ended.
  init(process: Int32) {
    let descriptor = Self.open(process)
    // If the node had ended before, another process may have its id.
    if descriptor >= 0, getppid() != process {
      close(descriptor)
      processDescriptor = -1
    } else {
      processDescriptor = descriptor
    }
    _ = fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK)
  }

  /// Waits for the end of the node, however long it lives.
  ///
  /// - Returns: The node's orders; nil if there is nothing to report.
  mutating func waitForEnd() -> [UInt8]? {
    // A negative descriptor is left out.
    var waits = [
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0), pollfd(fd: processDescriptor, events: Int16(POLLIN), revents: 0),
    ]
    while true {
      guard poll(&waits, 2, -1) >= 0 else { continue }
      if waits[0].revents != 0, !readAll() { waits[0].fd = -1 }
      if inbox.isDischarged { return nil }
      let hasEnded = processDescriptor >= 0 ? waits[1].revents & Int16(POLLIN) != 0 : waits[0].fd < 0
      guard hasEnded else { continue }
      // What the node said last may have arrived after the last read.
      _ = readAll()
      return inbox.isDischarged ? nil : inbox.orders
    }
  }

  /// Reads what is there.
  ///
  /// - Returns: Whether more may come.
  private mutating func readAll() -> Bool {
    while true {
      let (count, bytes) = withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 1) { buffer in
        let count = read(STDIN_FILENO, buffer.baseAddress, buffer.count)
        return (count, Array(buffer.prefix(max(count, 0))))
      }
      if count == 0 { return false }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      inbox.append(bytes)
    }
  }

  /// The number of the system call `pidfd_open`, on every architecture.
  private static let openProcess = 434

  private static func open(_ process: Int32) -> Int32 {
    #if os(Linux)
    // Swift does not import functions with a variable number of arguments, and older C libraries have no other one for this call.
    guard let symbol = dlsym(nil, "syscall") else { return -1 }
    let call = unsafeBitCast(symbol, to: (@convention(c) (Int, Int, Int) -> Int).self)
    return Int32(truncatingIfNeeded: call(openProcess, Int(process), 0))
    #else
    return -1
    #endif
  }
}
