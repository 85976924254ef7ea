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
    leave(64)
  }

  /// Watches the node that has started this process.
  private static func beside(_ process: Int32) {
    closeInheritedDescriptors()
    Secrecy.begin()
    // A signal to all processes of a service must not end the witness before its node; it only hurries a report.
    Signals.block([SIGTERM, SIGINT, SIGHUP, SIGPIPE])
    var pipe = NodePipe(process: process)
    if let orders = pipe.waitForEnd() { report(MemberEnd(at: .now), of: process, orders) }
    leave(0)
  }

  /// Runs the node as a child of this process.
  private static func around(_ command: [String]) {
    let child: NodeChild
    do { child = try NodeChild(command) } catch {
      complain("parallax-witness: \(error)")
      leave(error.code)
    }
    let end = child.waitForEnd()
    // The node has the limits and the terminal that this process was given, and so has whoever runs this process.
    Secrecy.begin()
    child.returnTerminal()
    if let orders = child.orders {
      // Nothing restarts the node before this process has ended, so the second look is short.
      report(MemberEnd(at: .now, cause: end), of: child.process, orders, atMost: .seconds(2))
    }
    child.reapOthers()
    end.repeatByThisProcess()
  }

  // MARK: The report

  /// How long a report goes on after a SIGTERM: the first look takes milliseconds, and a store that does not answer by then costs a lease.
  private static let lastLook = DispatchTimeInterval.milliseconds(500)
  /// How long a report that is told to end may take for that.
  private static let farewell = DispatchTimeInterval.seconds(1)
  private static let signalInterval = DispatchTimeInterval.milliseconds(50)

  private static func report(_ end: MemberEnd, of process: Int32, _ line: [UInt8], atMost limit: Duration? = nil) {
    do {
      let orders = try WitnessOrders(line: line)
      guard orders.process == process else {
        complain(
          "parallax-witness: process \(process) has ended, and the node is \(orders.process): nothing is proven. "
            + "A script around the node must replace itself by it, with exec")
        return
      }
      try report(end, orders, atMost: limit ?? orders.longestReport())
    } catch {
      // The line has secrets, so nothing of it is shown.
      complain("parallax-witness: what the node said cannot be read; node and witness must be of one version")
    }
  }

  /// Reports, within the limit whatever blocks the threads of the report: a password may be on a mount that does not answer.
  private static func report(_ end: MemberEnd, _ orders: WitnessOrders, atMost limit: Duration) {
    var logger = Logger(label: "parallax-witness") { _ in WitnessLogHandler(isJSON: orders.logsJSON) }
    logger[metadataKey: "node"] = "\(orders.session.nodeID)"
    logger[metadataKey: "incarnation"] = "\(orders.session.incarnation)"
    // One that came while the node lived is none for the report.
    Signals.forget(SIGTERM)
    let isDone = DispatchSemaphore(value: 0)
    let work = Task { [logger] in
      do {
        try await Witness(orders, logger: logger).report(end)
      } catch {
        logger.error("the store cannot be told of the end of the node's process", metadata: ["error": "\(error)"])
      }
      isDone.signal()
    }
    var deadline = DispatchTime.now() + .milliseconds(Int(limit / .milliseconds(1)))
    var isHurried = false
    while DispatchTime.now() < deadline {
      if isDone.wait(timeout: min(.now() + signalInterval, deadline)) == .success { return }
      guard !isHurried, Signals.isPending(SIGTERM) else { continue }
      isHurried = true
      deadline = min(deadline, .now() + lastLook)
    }
    work.cancel()
    if isDone.wait(timeout: .now() + farewell) == .timedOut {
      logger.error("a report of the end of the node's process hangs, and is given up", metadata: ["limit": "\(limit)"])
    }
  }

  private static func complain(_ text: String) {
    ErrorOutput.write(text + "\n")
  }

  /// Ends this process, without waiting for threads that are blocked.
  fileprivate static func leave(_ status: Int32) -> Never {
    ErrorOutput.flush()
    _exit(status)
  }
}

extension MemberEnd.Cause {
  /// Ends this process as another one has ended.
  fileprivate func repeatByThisProcess() -> Never {
    switch self {
    case .status(let status): WitnessProgram.leave(status)
    case .signal(let number):
      ErrorOutput.flush()
      // The first process of a container survives its own signals; a shell's convention tells the signal all the same.
      Signals.restoreDefault(number)
      kill(getpid(), number)
      WitnessProgram.leave(128 + number)
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
