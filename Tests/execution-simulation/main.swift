import ExecutionSimulation
import Foundation

// Runs simulations of executions for some time, in a release build; see Tests/ExecutionSimulation.
//
//   execution-simulation [SECONDS] [FIRST SEED] [NAME OF A MIX]
//   execution-simulation scenarios [NAME OF A SCENARIO]
//   execution-simulation trace SEED NAME OF A MIX OR A SCENARIO
//   execution-simulation shrink SEED NAME OF A MIX

let words = Array(CommandLine.arguments.dropFirst())

func stop(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(2)
}

func mix(_ words: ArraySlice<String>) -> ExecutionMix {
  let name = words.joined(separator: " ")
  guard let mix = ExecutionMixes.named(name) else {
    stop("there is no mix \"\(name)\"; there are:\n" + ExecutionMixes.all.map { "  \($0)" }.joined(separator: "\n"))
  }
  return mix
}

if let command = words.first, ["trace", "shrink"].contains(command) {
  if command == "trace", words.count > 2, let seed = UInt64(words[1]),
    let scenario = ExecutionScenario.named(words[2...].joined(separator: " "))
  {
    let report = scenario.run(seed: seed, isTraced: true)
    print(report.trace.joined(separator: "\n"))
    print(report)
    exit(0)
  }
  guard words.count > 2, let seed = UInt64(words[1]) else { stop("expected \(command) SEED NAME OF A MIX") }
  let mix = mix(words[2...])
  if command == "trace" {
    let report = ExecutionSimulation(mix, seed: seed, isTraced: true).run()
    print(report.trace.joined(separator: "\n"))
    print(report)
  } else if let shrunk = ShrunkExecutions(mix, seed: seed) {
    print(shrunk)
  } else {
    print("\(mix), seed \(seed): no violation")
  }
  exit(0)
}

if words.first == "scenarios" {
  let name = words.dropFirst().joined(separator: " ")
  let scenarios = name.isEmpty ? ExecutionScenario.all : [ExecutionScenario.named(name)].compactMap(\.self)
  if scenarios.isEmpty {
    stop("there is no scenario \"\(name)\"; there are:\n" + ExecutionScenario.all.map { "  \($0)" }.joined(separator: "\n"))
  }
  var failures = 0
  for scenario in scenarios {
    for seed in 1...20 as ClosedRange<UInt64> {
      let report = scenario.run(seed: seed)
      guard !report.violations.isEmpty else { continue }
      failures += 1
      print(report)
    }
  }
  print("\(scenarios.count) scenarios with 20 seeds each; \(failures) runs broke a promise")
  exit(failures == 0 ? 0 : 1)
}

let seconds = words.first.map { word in Double(word) ?? { stop("expected seconds, found \"\(word)\"") }() } ?? 60
var seed = words.count > 1 ? UInt64(words[1]) ?? { stop("expected a seed, found \"\(words[1])\"") }() : .random(in: 0..<1_000_000_000)
let mixes = words.count > 2 ? [mix(words[2...])] : ExecutionMixes.all
print("seeds from \(seed)")
let begin = ContinuousClock.now
var (runs, deaths, ended, events, failures) = (0, 0, 0, 0, 0)
while begin.duration(to: .now) < .seconds(seconds), failures < 20 {
  let mix = mixes[runs % mixes.count]
  let report = ExecutionSimulation(mix, seed: seed).run()
  if !report.violations.isEmpty {
    failures += 1
    print(report)
  }
  runs += 1
  seed += 1
  deaths += report.deaths
  ended += report.ended
  events += report.events
}
let time = begin.duration(to: .now) / .seconds(1)
print(
  "\(runs) runs, \(deaths) deaths of nodes, \(ended) executions, \(events) events in \(Int(time)) s: "
    + "\(Int(Double(deaths) / time)) deaths/s, \(Int(Double(events) / time)) events/s; \(failures) runs broke a promise")
exit(failures == 0 ? 0 : 1)
