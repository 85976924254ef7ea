#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Keeps what the node has said, which includes its passwords, out of core files and from debuggers.
enum Secrecy {
  /// `PR_SET_DUMPABLE` of Linux, which not every C library's module has.
  private static let setDumpable: Int32 = 4

  /// Begins before this process reads what the node says; it concerns neither the node, nor the signal with which this process ends.
  static func begin() {
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    #if canImport(Glibc)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    #else
    setrlimit(RLIMIT_CORE, &none)
    #endif
    #if os(Linux)
    // A program that takes core files from the kernel gets them whatever the limit. Swift does not import functions with a variable number
    // of arguments.
    guard let symbol = dlsym(nil, "prctl") else { return }
    let call = unsafeBitCast(symbol, to: (@convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32).self)
    _ = call(setDumpable, 0, 0, 0, 0)
    #endif
  }
}
