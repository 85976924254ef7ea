import Dispatch
import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxWitness

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Waits for the end of a node's process, and then says so in the store.
///
/// It holds no connection, sets no timer and has one thread while the node lives: Swift's threads, and the descriptors of their event loop,
/// exist only from a report on. Hence no part of this program before that is asynchronous.
@main
struct WitnessProgram {
  private static let usage = """
    usage: parallax-witness -- COMMAND [ARGUMENT ...]
           parallax-witness --node-process PID
           parallax-witness --version

    Says in the store that a node's process has ended, so that its term and its executions go on elsewhere at once.

    The first form runs the node as its child, passes signals on to it, and ends with its status: for the first process of a container
    or of a service. The second form is that of a node that starts its witness: PID is the node, standard input the pipe from it.
    """

  static func main() {
    let arguments = CommandLine.arguments.dropFirst()
    switch arguments.first {
    case "--" where arguments.count > 1:
      around(Array(arguments.dropFirst()))
    case "--node-process" where arguments.count == 2:
      guard let process = arguments.last.flatMap({ Int32($0) }), process > 0 else { refuse("\"\(arguments.last ?? "")\" is no process id") }
      beside(process)
    case "--version":
      print(ParallaxVersion.text(commit: BuildCommit.current))
    case "--help", "-h":
      print(usage)
    default:
      refuse(usage)
    }
  }

  /// The exit code of a wrong command line in sysexits.h.
  private static func refuse(_ reason: String) -> Never {
    complain(reason)
    exit(64)
  }

  /// Watches the node that has started this process.
  private static func beside(_ process: Int32) {
    closeInheritedDescriptors()
    // A signal to all processes of a service must not end the witness before its node; it only hurries a report.
    Signals.block([SIGTERM, SIGINT, SIGHUP, SIGPIPE])
    var pipe = NodePipe(process: process)
    guard let orders = pipe.waitForEnd() else { return }
    report(MemberEnd(at: .now), of: process, orders) {
      while !Signals.isPending(SIGTERM) { try await Task.sleep(for: .milliseconds(50)) }
      // The first look takes milliseconds; a store that does not answer by then costs a lease.
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  /// Runs the node as a child of this process.
  private static func around(_ command: [String]) {
    var child: NodeChild
    do { child = try NodeChild(command) } catch {
      complain("parallax-witness: \(error)")
      exit(error.code)
    }
    let end = child.waitForEnd()
    if let orders = child.orders {
      // Nothing restarts the node before this process has ended, so the second look is short.
      report(MemberEnd(at: .now, cause: end), of: child.process, orders) { try await Task.sleep(for: .seconds(2)) }
    }
    child.reapOthers()
    end.repeatByThisProcess()
  }

  private static func report(_ end: MemberEnd, of process: Int32, _ line: [UInt8], until hurry: @escaping @Sendable () async throws -> Void)
  {
    do {
      let orders = try WitnessOrders(line: line)
      guard orders.process == process else {
        complain(
          "parallax-witness: process \(process) has ended, and the node is \(orders.process): nothing is proven. "
            + "A script around the node must replace itself by it, with exec")
        return
      }
      var logger = Logger(label: "parallax-witness") { _ in WitnessLogHandler(isJSON: orders.logsJSON) }
      logger[metadataKey: "node"] = "\(orders.session.nodeID)"
      logger[metadataKey: "incarnation"] = "\(orders.session.incarnation)"
      let isDone = DispatchSemaphore(value: 0)
      Task { [logger] in
        do {
          try await Witness(orders, logger: logger).report(end, until: hurry)
        } catch {
          logger.error("the store cannot be told of the end of the node's process", metadata: ["error": "\(error)"])
        }
        isDone.signal()
      }
      isDone.wait()
    } catch {
      // The line has secrets, so nothing of it is shown.
      complain("parallax-witness: what the node said cannot be read; node and witness must be of one version")
    }
  }

  private static func complain(_ text: String) {
    _ = (text + "\n").utf8CString.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
  }
}

extension MemberEnd.Cause {
  /// Ends this process as another one has ended.
  fileprivate func repeatByThisProcess() -> Never {
    switch self {
    case .status(let status): exit(status)
    case .signal(let number):
      // The first process of a container survives its own signals; a shell's convention tells the signal all the same.
      Signals.restoreDefault(number)
      kill(getpid(), number)
      exit(128 + number)
    }
  }
}

/// Closes what the node had open when it started this process: its port must not stay in use after its end.
private func closeInheritedDescriptors() {
  guard let folder = opendir("/proc/self/fd") ?? opendir("/dev/fd") else { return }
  var open: [Int32] = []
  while let entry = readdir(folder) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if let descriptor = Int32(name), descriptor > 2 { open.append(descriptor) }
  }
  closedir(folder)
  for descriptor in open { close(descriptor) }
}
