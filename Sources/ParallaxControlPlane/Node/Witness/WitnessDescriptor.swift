import ParallaxWitness

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The pipe to a witness around this process.
package enum WitnessDescriptor {
  /// Takes the pipe, so that programs which this process starts have neither it nor the variable with its number.
  ///
  /// It changes the environment, so it belongs to the beginning of a program.
  ///
  /// - Returns: The descriptor of the pipe's writing end; nil if no witness is around this process.
  package static func take() -> Int32? {
    guard let text = getenv(WitnessChannel.variable) else { return nil }
    let number = String(cString: text)
    unsetenv(WitnessChannel.variable)
    return take(number)
  }

  /// Takes the pipe with this number, which its witness wrote; nil if there is no such pipe.
  package static func take(_ number: String) -> Int32? {
    guard let descriptor = Int32(number), descriptor > 2, isWritablePipe(descriptor) else { return nil }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    return descriptor
  }

  /// A variable that outlived its pipe may have the number of another file, which the node's passwords must not reach.
  private static func isWritablePipe(_ descriptor: Int32) -> Bool {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return false }
    return fcntl(descriptor, F_GETFL) & O_ACCMODE == O_WRONLY
  }
}
