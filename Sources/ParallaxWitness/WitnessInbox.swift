/// Collects what a node says on the pipe; a value that reads nothing by itself.
///
/// The last whole line counts. A line without its end, of a node that was killed while it wrote, counts for nothing.
package struct WitnessInbox: Sendable {
  /// The line of a node that has released its term and left its cluster: its end is nobody's business.
  package static let discharge = Array("discharged\n".utf8)

  /// More bytes than any line has; a longer one is skipped.
  package static let longestLine = 60_000

  private var unfinished: [UInt8] = []
  private var isSkipping = false

  /// The last orders, a line of ``WitnessOrders``; nil before the first.
  package private(set) var orders: [UInt8]?
  /// Whether the node has discharged its witness.
  package private(set) var isDischarged = false

  package init() {}

  /// Takes bytes from the pipe.
  package mutating func append(_ bytes: some Sequence<UInt8>) {
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        finishLine()
      } else if unfinished.count < Self.longestLine {
        unfinished.append(byte)
      } else {
        isSkipping = true
      }
    }
  }

  private mutating func finishLine() {
    defer {
      unfinished = []
      isSkipping = false
    }
    guard !isSkipping else { return }
    isDischarged = unfinished.elementsEqual(Self.discharge.dropLast())
    if !isDischarged { orders = unfinished }
  }
}
