import ParallaxAPI
import Testing

@testable import ParallaxControlPlane

@Suite struct UnwrittenTasksTests {
  private func task(_ number: Int) -> ControlPlaneMessage {
    .task(
      ControlPlaneMessage.Task(
        taskId: "task_\(number)", executionId: "exec", patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
        timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1)))
  }

  @Test func theTasksWhoseMessagesBeginInTheLastBytesAreUnwritten() {
    var tasks = UnwrittenTasks()
    for number in 1...3 { tasks.add(task(number), bytes: 100, unsent: 100 * number) }
    tasks.add(.resultAck(.init(taskId: "task_0")), bytes: 50, unsent: 350)
    #expect(tasks.tasks(inLast: 350) == ["task_1", "task_2", "task_3"])
    #expect(tasks.tasks(inLast: 349) == ["task_2", "task_3"])
    #expect(tasks.tasks(inLast: 150) == ["task_3"])
    #expect(tasks.tasks(inLast: 149) == [])
    tasks.removeAll()
    tasks.add(task(4), bytes: 100, unsent: 100)
    #expect(tasks.tasks(inLast: 100) == ["task_4"])
  }

  @Test func writtenTasksAreDroppedAlthoughTheAgentAlwaysLeavesSomethingUnread() {
    var tasks = UnwrittenTasks()
    for number in 1...10_000 { tasks.add(task(number), bytes: 100, unsent: 300) }
    #expect(tasks.count <= 300)
    #expect(tasks.tasks(inLast: 300) == ["task_9998", "task_9999", "task_10000"])
  }
}
