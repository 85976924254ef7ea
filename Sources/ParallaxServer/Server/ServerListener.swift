import NIOCore
package import ParallaxConcurrency
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The listening socket of a server, which it can close without the loss of a connection.
///
/// The system completes handshakes by itself. A connection that it has made and the server has not yet accepted is reset when the socket
/// closes, although its client may have sent a request by then, which a proxy does not repeat elsewhere. So the system first stops to make
/// connections, and the server accepts those that it has made.
package final class ServerListener: Sendable {
  /// The time for handshakes whose answer is on its way to the client: several round trips in a local network.
  static let handshakeTime: Duration = .milliseconds(20)
  /// The longest time to accept what the system has made.
  static let acceptLimit: Duration = .seconds(1)
  private static let checkInterval: Duration = .milliseconds(5)

  private let clock: MonotonicClock
  private let channel = Mutex<(any Channel)?>(nil)

  /// Creates a listener that a server opens.
  ///
  /// - Parameter clock: Measures the time to accept connections.
  package init(clock: MonotonicClock) {
    self.clock = clock
  }

  func opened(_ channel: any Channel) {
    self.channel.withLock { $0 = channel }
  }

  func waitUntilClosed() async {
    // The channel may close for any reason; afterward it accepts nothing.
    try? await openChannel?.closeFuture.get()
  }

  private var openChannel: (any Channel)? { channel.withLock { $0 } }

  /// Has the system ignore new handshakes, and returns when the server has accepted all connections that were made, after a second at most.
  ///
  /// A client whose handshake is ignored repeats it after a second, and is refused then if the server has closed its socket. Only Linux can
  /// be told so; elsewhere, and before the server listens, the call does nothing.
  package func refuseConnections() async {
    #if os(Linux)
    guard let channel = openChannel, let options = channel as? any SocketOptionProvider else { return }
    do { try await SocketFilter.withoutHandshakes.attach(to: options) } catch { return }
    let began = clock.now
    while !Task.isCancelled {
      let waited = began.duration(to: clock.now)
      // The field counts unaccepted connections at a listening socket.
      guard waited < Self.acceptLimit, let waiting = try? await options.getTCPInfo().get().tcpi_unacked else { return }
      if waiting == 0, waited >= Self.handshakeTime { return }
      do { try await clock.sleep(for: Self.checkInterval) } catch { return }
    }
    #endif
  }
}

#if os(Linux)
/// A classic BPF program for a socket.
private struct SocketFilter {
  /// `struct sock_filter` of `<linux/filter.h>`.
  struct Instruction {
    var code: UInt16
    var ifTrue: UInt8 = 0
    var ifFalse: UInt8 = 0
    var operand: UInt32
  }

  /// `struct sock_fprog` of `<linux/filter.h>`; its pointer is read by one event loop, before `attach` returns.
  private struct Program: @unchecked Sendable {
    var count: UInt16
    var instructions: UnsafePointer<Instruction>?
  }

  /// Drops segments with the flag SYN; others, such as the last one of a handshake, pass.
  static let withoutHandshakes = SocketFilter(instructions: [
    // Load the byte of the TCP header that has the flags.
    Instruction(code: 0x30, operand: 13),
    // Go on at the first of the two returns if SYN is set, at the second one otherwise.
    Instruction(code: 0x45, ifTrue: 0, ifFalse: 1, operand: 0x02),
    Instruction(code: 0x06, operand: 0),
    Instruction(code: 0x06, operand: .max),
  ])

  /// `SO_ATTACH_FILTER` of `<asm/socket.h>`, equal on all architectures that Swift supports.
  private static let attachFilter = NIOBSDSocket.Option(rawValue: 26)

  let instructions: [Instruction]

  func attach(to options: any SocketOptionProvider) async throws {
    let copy = UnsafeMutableBufferPointer<Instruction>.allocate(capacity: instructions.count)
    _ = copy.initialize(from: instructions)
    defer { copy.deallocate() }
    let program = Program(count: UInt16(instructions.count), instructions: UnsafePointer(copy.baseAddress))
    try await options.unsafeSetSocketOption(level: .socket, name: Self.attachFilter, value: program).get()
  }
}
#endif
