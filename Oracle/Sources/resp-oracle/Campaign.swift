#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// One run over many inputs.
struct Campaign {
  let seed: UInt64
  let duration: Duration
  let corpus: [[UInt8]]

  /// Low enough that inputs meet them; the depth is that of hiredis 0.14.
  private let comparison = Comparison(limits: RESPLimits(depth: 8, lineLength: 1_000, stringLength: 4_000, elements: 200))

  func run() throws {
    let generator = ReplyGenerator(hasVersion3: Hiredis.hasVersion3, corpus: corpus)
    let start = ContinuousClock.now
    var cases = 0
    var bytes = 0
    var equal = 0
    var met: [KnownDifference: Int] = [:]
    func compare(_ input: [UInt8], _ random: inout SeededRandom, origin: String) throws {
      do {
        let known = try comparison.run(input, using: &random)
        cases += 1
        bytes += input.count
        if known.isEmpty { equal += 1 }
        for difference in Set(known) { met[difference, default: 0] += 1 }
      } catch let disagreement as Disagreement {
        print("DISAGREEMENT, \(origin): \(disagreement.message)\n  input:  \(quoted(input))")
        exit(1)
      }
    }

    for (index, input) in corpus.enumerated() {
      var random = SeededRandom(seed: seed)
      try compare(input, &random, origin: "file \(index) of the corpus")
    }
    var next = seed
    repeat {
      var random = SeededRandom(seed: next)
      let input = generator.input(using: &random)
      try compare(input, &random, origin: "ORACLE_SEED=\(next)")
      next &+= 1
    } while ContinuousClock.now - start < duration

    print(
      "\(cases) inputs, \(bytes) bytes, \(ContinuousClock.now - start): no disagreement; \(equal) alike throughout, the others with known differences:"
    )
    for difference in KnownDifference.allCases where met[difference] != nil {
      print("  \(difference.rawValue): \(met[difference, default: 0])")
    }
  }
}
