import NIOCore

/// Decides whether a peer sends too many small frames.
///
/// Each frame is work, also a ping or an empty part of a message, which no limit of messages counts. A frame of ``freeSize`` bytes or more
/// costs nothing: there the bytes are the greater work, and the network bounds them. It does not bound what a compressed message becomes,
/// so that each ``inflatedSize`` bytes of it cost as much as a small frame.
struct FrameBudget {
  /// Less than the parts of a message in which libraries write: Go's send what its compressor gives, some 240 bytes at a time.
  static let freeSize = 128
  static let inflatedSize = 8_192
  /// The seconds whose frames may come at once.
  private static let burst = 10

  /// The sustained rate; nil without a limit.
  let framesPerSecond: Int?
  private var left: Int
  /// The instant up to which the budget has been refilled.
  private var refilled: NIODeadline

  init(framesPerSecond: Int?, at now: NIODeadline) {
    self.framesPerSecond = framesPerSecond
    left = (framesPerSecond ?? 0) * Self.burst
    refilled = now
  }

  /// Takes small frames from the budget; false if they exceed it.
  mutating func take(_ frames: Int, at now: NIODeadline) -> Bool {
    guard let framesPerSecond, frames > 0 else { return true }
    let seconds = (now - refilled).nanoseconds / 1_000_000_000
    if seconds > 0 {
      left = min(left + Int(min(seconds, Int64(Self.burst))) * framesPerSecond, framesPerSecond * Self.burst)
      refilled = refilled + .seconds(seconds)
    }
    left -= frames
    return left >= 0
  }
}
