import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// What waits, and why.
@Suite struct QueueReportTests {
  @Test func aQueueNamesTheReasonOfItsOldestExecution() {
    var world = World()
    #expect(world.machine.queues.isEmpty)
    world.connect("a", ["text"], limit: 1)
    world.submit(World.pattern(["text"]))
    world.settle()
    #expect(world.machine.queues.map { [$0.waiting, $0.running] } == [[0, 1]])
    #expect(world.machine.queues.first?.reason == nil && world.machine.queues.first?.oldestSince == nil)

    world.advance(by: .seconds(1))
    world.submit(World.pattern(["text"]))
    world.advance(by: .seconds(1))
    world.submit(World.pattern(["text"]))
    world.submit(World.pattern(["vision", "text"]))
    world.settle()
    let queues = world.machine.queues
    #expect(queues.map(\.capabilities) == [["text"], ["text", "vision"]], "the longest first")
    #expect(queues.map(\.waiting) == [2, 1])
    #expect(queues.map(\.reason) == [.allBusy, .noAgent])
    #expect(queues.map(\.oldestSince) == [World.start + .seconds(1), World.start + .seconds(2)])
    #expect(queues.allSatisfy { $0.nodeId == World.session.nodeID })
  }

  @Test func agentsThatAreTooFewAreNoReasonToBlameTheirWork() {
    var world = World()
    world.connect("a", ["text"], limit: 8)
    world.submit(World.pattern(["text"], min: 2))
    world.settle()
    #expect(world.machine.queues.map(\.reason) == [.noAgent])
  }
}
