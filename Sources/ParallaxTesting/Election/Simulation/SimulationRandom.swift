/// SplitMix64: every draw of a simulation follows from its seed.
package struct SimulationRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  /// From 0 to below 1.
  mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

  mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * fraction() }

  mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }

  mutating func happens(_ probability: Double) -> Bool { probability > 0 && fraction() < probability }
}
