import Foundation
import ParallaxTesting

// Runs simulations of elections for some time, in a release build; see Sources/ParallaxTesting/Election/Simulation.
//
//   election-simulation [SECONDS] [FIRST SEED] [NAME OF A MIX]

let words = Array(CommandLine.arguments.dropFirst())

func stop(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(2)
}

func mix(named name: String) -> FaultMix {
  guard let mix = FaultMixes.allOfThem.first(where: { $0.name == name }) else {
    stop("there is no mix \"\(name)\"; there are:\n" + FaultMixes.allOfThem.map { "  \($0.name)" }.joined(separator: "\n"))
  }
  return mix
}

let seconds = words.first.map { word in Double(word) ?? { stop("expected seconds, found \"\(word)\"") }() } ?? 60
var seed = words.count > 1 ? UInt64(words[1]) ?? { stop("expected a seed, found \"\(words[1])\"") }() : .random(in: 0..<1_000_000_000)
let mixes = words.count > 2 ? [mix(named: words[2...].joined(separator: " "))] : FaultMixes.allOfThem
print("seeds from \(seed)")
let begin = ContinuousClock.now
var (runs, failovers, storeCalls, failures) = (0, 0, 0, 0)
while begin.duration(to: .now) < .seconds(seconds), failures < 20 {
  let mix = mixes[runs % mixes.count]
  var simulation = ElectionSimulation(mix, seed: seed)
  let report = simulation.run()
  if !report.violations.isEmpty {
    failures += 1
    print(ShrunkSimulation(mix, seed: seed).map { "\(report)\n\($0)" } ?? "\(report)")
  }
  runs += 1
  seed += 1
  failovers += max(report.grants - 1, 0)
  storeCalls += report.storeCalls
}
let time = begin.duration(to: .now) / .seconds(1)
print(
  "\(runs) clusters, \(failovers) failovers, \(storeCalls) store calls in \(Int(time)) s: \(Int(Double(failovers) / time)) failovers/s; "
    + "\(failures) runs broke a promise")
exit(failures == 0 ? 0 : 1)
