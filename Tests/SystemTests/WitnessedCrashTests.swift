import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// What a crash of one or many nodes costs beside witnesses: real ends of real processes.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct WitnessedCrash {
    // MARK: Causes

    /// Waits for the successor of a leader whose process has ended by a signal, and checks what the cluster says about the end.
    private func expectTakeover(
      of cluster: ParallaxCluster, from leader: Int, asking other: Int, signal: Int32, since began: ContinuousClock.Instant
    ) async throws {
      let next = try await cluster.waitForLeader(otherThan: leader, asking: other)
      let took = began.duration(to: .now)
      #expect(took < .seconds(2), "signal \(signal): \(took)")
      try await eventually("the reason in the log of the successor") {
        cluster.nodes[next].process.errorOutput.contains("the death of the former leader was witnessed")
      }
      try await eventually("the cause in the log of another node") {
        cluster.nodes[other].process.errorOutput.split(separator: "\n")
          .contains { $0.contains("signal \(signal)") && $0.contains("\(ParallaxCluster.id(leader)):") }
      }
      let member = try await cluster.redisCommand("HGET", "parallax:ha:members", ParallaxCluster.id(leader))
      #expect(member.contains(#""signal":\#(signal)"#), "\(member)")
      #expect(try await cluster.nodes[leader].process.waitForExit() == .signal(signal))
    }

    /// A trap of Swift is SIGILL or SIGTRAP, by the processor; a failed assertion of C is SIGABRT.
    @Test func `a leader that traps or aborts gives its lease back at once, and the cause is named`() async throws {
      // Where the tools of Swift are installed, a process prints the stacks of all its threads before it ends, which takes its time.
      let environment = ["SWIFT_BACKTRACE": "enable=no"]
      try await ParallaxCluster.withWitnesses(4, environment: environment, areInside: true) { cluster in
        var (living, leader) = (Array(cluster.nodes.indices), try await cluster.leader())
        for signal in [SIGILL, SIGTRAP, SIGABRT] {
          living.removeAll { $0 == leader }
          let node = try #require(cluster.nodes[leader].node)
          let began = ContinuousClock.now
          kill(node, signal)
          try await expectTakeover(of: cluster, from: leader, asking: living[0], signal: signal, since: began)
          leader = try await cluster.leader(asking: living[0])
        }
      }
    }

    @Test(.enabled("the kernel must let this process bound the memory of others: a writable memory cgroup") { MemoryGroup.isAvailable })
    func `a leader that the kernel kills for its memory gives its lease back at once`() async throws {
      try await ParallaxCluster.withWitnesses(areInside: true) { cluster in
        let leader = try await cluster.leader()
        let (doomed, other) = (cluster.nodes[leader], cluster.others(than: leader)[0])
        try await doomed.apply(pattern("analyze"))
        let group = try MemoryGroup(bytes: 32 << 20)
        defer { group.remove() }
        // As in a container, the witness has the same limit; the kernel kills the larger process.
        for process in [doomed.process.pid, try #require(doomed.node)] { try group.add(process) }
        let text = JSONValue.string(String(repeating: "x", count: 400_000))
        let ended = try await eventualValue("the end of the node", within: .seconds(60), every: .zero) {
          // Nobody has the capability, so the node keeps what it gets.
          _ = try? await doomed.submit("analyze", input: ["text": text])
          return doomed.node == nil ? ContinuousClock.now : nil
        }
        try await expectTakeover(of: cluster, from: leader, asking: other, signal: SIGKILL, since: ended)
        #expect(group.kills == 1)
      }
    }

    // MARK: Many nodes

    @Test func `W12: ten nodes are killed at once, and one of those left leads`() async throws {
      let count = 12
      try await ParallaxCluster.withWitnesses(count) { cluster in
        let leader = try await cluster.leader()
        let left = Array(cluster.others(than: leader).prefix(2))
        let killed = cluster.nodes.indices.filter { !left.contains($0) }
        #expect(killed.count == 10)
        let witnesses = killed.compactMap { cluster.nodes[$0].witness }
        #expect(witnesses.count == 10)
        let connections = try await cluster.statistic("total_connections_received")
        for index in killed { cluster.nodes[index].process.send(signal: SIGKILL) }
        let began = ContinuousClock.now
        let next = try await cluster.waitForLeader(otherThan: leader, asking: left[0])
        let took = began.duration(to: .now)
        #expect(left.contains(next) && took < .seconds(5), "\(took)")
        for index in left {
          try await eventually("ten deaths at \(ParallaxCluster.id(index))") {
            try await cluster.nodes[index].metric("parallax_ha_deaths_witnessed_total") == 10
          }
        }
        try await eventually("one leader in the view of all", within: .seconds(10)) {
          var sum = 0.0
          for index in left {
            guard try await cluster.nodes[index].haStatus().leader == ParallaxCluster.id(next) else { return false }
            sum += try await cluster.nodes[index].metric("parallax_ha_is_leader") ?? 0
          }
          return sum == 1
        }
        let used = try await cluster.statistic("total_connections_received") - connections
        print("W12: a leader after \(took), \(used) connections")
        #expect(used <= 4 * 10, "\(used) connections")
        // The witnesses end by themselves, after the second looks of one lease.
        try await eventually("the end of the witnesses", within: .seconds(30)) {
          killed.allSatisfy { cluster.nodes[$0].witness == nil }
        }
      }
    }

    // MARK: Executions

    @Test func `W13: 200 executions of a killed standby go on at once, each once`() async throws {
      let count = 200
      try await ParallaxCluster.withWitnesses { cluster in
        try await cluster.nodes[0].apply(pattern("analyze", timeout: .seconds(120), retries: 3))
        let leader = try await cluster.leader()
        let (owner, other) = (cluster.others(than: leader)[0], cluster.others(than: leader)[1])
        // One agent is connected to the node that will be killed, and keeps its tasks while it connects to the next one.
        let urls = [cluster.agentURLs(first: owner), cluster.agentURLs(first: other)]
        let arguments = ["--delay", "4", "--concurrency", "\(count + 100)"]
        try await withPythonAgents(at: urls, capabilities: ["analysis"], arguments: arguments) { agents in
          for agent in agents {
            try await eventually("the agents at the owner") {
              try await cluster.nodes[owner].api.get("/api/agents/\(agent.id)").status == 200
            }
          }
          let ids = try await submit(count + 100, to: cluster.nodes[owner], over: .seconds(3))
          // From the death on their work ends as evenly as it was submitted.
          try await eventually("the first results", every: .milliseconds(5)) { agents.contains { !$0.finishedTasks.isEmpty } }
          let began = ContinuousClock.now
          cluster.nodes[owner].process.send(signal: SIGKILL)
          let ended = agents.flatMap(\.finishedTasks).count
          #expect(ids.count - ended >= count, "killed too late: \(ended) of \(ids.count) had ended")
          var (waits, moved): ([Duration], Int) = ([], 0)
          for id in ids {
            let execution = try await cluster.nodes[other].end(of: id)
            #expect(execution.status == .completed, "\(execution)")
            if execution.nodeId != ParallaxCluster.id(owner) { moved += 1 }
            let parts = execution.agents.filter { $0.status == "completed" }
            #expect(parts.count == 1, "\(execution)")
            let work = try #require(parts.first?.duration).duration
            waits.append(try #require(execution.duration).duration - work)
          }
          waits.sort()
          let longest = try #require(waits.last)
          print("W13: \(moved) executions moved; the longest wait beyond its own work is \(longest), the median \(waits[waits.count / 2])")
          #expect(moved >= count)
          #expect(longest <= .seconds(2), "\(longest)")
          #expect(began.duration(to: .now) < .seconds(15))
          // Each task was handled once.
          let finished = agents.flatMap(\.finishedTasks)
          #expect(finished.count == ids.count && Set(finished).count == ids.count)
          #expect(agents.allSatisfy { !$0.finishedTasks.isEmpty && $0.failedTasks.isEmpty })
        }
      }
    }

    /// Submits executions one after another, at even intervals.
    private func submit(_ count: Int, to node: ParallaxdProcess, over time: Duration) async throws -> [String] {
      let began = ContinuousClock.now
      return try await withThrowingTaskGroup(of: String.self) { group in
        for number in 0..<count {
          group.addTask {
            try await Task.sleep(until: began + time * number / count)
            return try await node.submit("analyze", input: ["text": .string("execution \(number)")]).executionId
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }
  }
}

extension ParallaxCluster {
  /// A number of `INFO stats` of Redis.
  fileprivate func statistic(_ name: String) async throws -> Int {
    let text = try await redisCommand("INFO", "stats")
    guard let line = text.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix(name + ":") }),
      let value = Int(line.dropFirst(name.count + 1))
    else { throw ProcessFailure("Redis says nothing about \(name)") }
    return value
  }
}
