import ParallaxTesting

/// The planned work of a simulation.
typealias PlannedWork = SimulationQueue<() -> Void>

/// Times of a simulation are nanoseconds since its start: `Duration` is twice as wide and several times as slow.
extension Int64 {
  static func seconds(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

  var text: String {
    let milliseconds = self / 1_000_000
    let fraction = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
  }
}

extension Duration {
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
