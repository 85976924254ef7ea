/// SplitMix64: every draw of a simulation follows from its seed.
package struct SimulationRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// The draws for one purpose of a simulation, the same whatever else is drawn.
  package init(seed: UInt64, for purpose: UInt64, node: Int, number: UInt64) {
    state = seed &* 0x9E37_79B9_7F4A_7C15
    for value in [purpose, UInt64(truncatingIfNeeded: node), number] {
      state = (state ^ value) &* 0xFF51_AFD7_ED55_8CCD
      state ^= state >> 32
    }
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  /// From 0 to below 1.
  package mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

  package mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * fraction() }

  package mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }

  package mutating func happens(_ probability: Double) -> Bool { probability > 0 && fraction() < probability }
}
