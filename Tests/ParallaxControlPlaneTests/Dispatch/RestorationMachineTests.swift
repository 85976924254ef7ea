import ParallaxAPI
import Testing

@testable import ParallaxControlPlane

/// The recent writes that are restored after the store has lost data.
@Suite struct RestorationMachineTests {
  private func moment(_ seconds: Int) -> Moment { Moment(instant: .seconds(seconds), wall: World.start + .seconds(seconds)) }

  /// A machine that has claimed a key early and one late.
  private func machine() -> RestorationMachine {
    var machine = RestorationMachine(settings: DispatchMachine.Settings(session: World.session, isStoreLossy: true))
    for (key, second) in [("early", 0), ("late", 200)] {
      machine.add(RecentWrites.Claim(key: key, executionID: "exec_\(key)", digest: "d"), at: moment(second))
    }
    return machine
  }

  /// The keys that are claimed again after a loss by a server that was connected to at `second`; `nil` if that is unknown.
  private func keys(of machine: inout RestorationMachine, connectedAt second: Int?, at now: Int) -> [String] {
    machine.reset(connectedAt: second.map { .seconds($0) }, executions: [], at: moment(now)).flatMap { action -> [String] in
      guard case .restore(let recent) = action else { return [] }
      return recent.claims.elements.map(\.element.key)
    }
  }

  @Test func `Only writes that a promoted server may lack are restored`() {
    var machine = machine()
    let found = keys(of: &machine, connectedAt: 290, at: 300)
    #expect(found == ["late"])
  }

  @Test func `An outcome waits as long as its owner may need to restore the execution`() {
    #expect(StoreRestoration.patience * (StoreRestoration.attempts - 1) >= RestorationMachine.window + .seconds(2))
  }

  @Test func `A second loss does not shorten the restoration of the first`() {
    var machine = machine()
    let first = keys(of: &machine, connectedAt: nil, at: 300)
    let second = keys(of: &machine, connectedAt: 290, at: 310)
    #expect(first == ["early", "late"])
    #expect(second == ["early", "late"])
    // The first restoration, which the second includes, ends late.
    machine.ended(1)
    #expect(keys(of: &machine, connectedAt: 290, at: 315) == ["early", "late"])
    machine.ended(3)
    let third = keys(of: &machine, connectedAt: 290, at: 320)
    #expect(third == ["late"])
  }
}
