import Foundation
import ParallaxControlPlane
import ParallaxTesting
import Testing

/// For how long simulations with fresh seeds run: `PARALLAX_SIMULATION_SECONDS`, 5 by default.
private let simulationBudget: Duration = {
  let seconds = ProcessInfo.processInfo.environment["PARALLAX_SIMULATION_SECONDS"].flatMap(Double.init)
  return .seconds(seconds ?? 5)
}()

/// What is promised of executions, held by several nodes whatever happens to them, their agents and their messages.
@Suite struct DispatchSimulationTests {
  typealias Mix = DispatchSimulation.Mix

  @Test(arguments: [Mix.paused, .overtaken, .hasty, .dying, .everything])
  func whateverHappensThePromisesHold(mix: Mix) async {
    let start = ContinuousClock.now
    var (runs, deaths) = (0, 0)
    var seeds = Array(1...20 as ClosedRange<UInt64>)
    while runs < 200, ContinuousClock.now - start < simulationBudget {
      let seed = seeds.popLast() ?? .random(in: 0...(.max))
      let simulation = DispatchSimulation(mix, seed: seed)
      simulation.run()
      runs += 1
      deaths += simulation.deaths
      #expect(simulation.faults == [], "seed \(seed) of \(mix.name)")
      if !simulation.faults.isEmpty { return }
      await Task.yield()
    }
  }
}
