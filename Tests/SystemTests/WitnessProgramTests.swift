import Foundation
import ParallaxAPI
import ParallaxWitness
import TestSupport
import Testing

extension SystemTests {
  /// The program `parallax-witness`: what it takes for the end of a process, and its form around a node.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct WitnessProgram {
    private static let shell = URL(filePath: "/bin/sh")

    private func witness(_ arguments: String...) async throws -> (exit: ChildProcess.Exit, output: String, errorOutput: String) {
      try await run(ProjectLayout.executable("parallax-witness"), arguments)
    }

    // MARK: Around a node

    @Test func `W14: it ends as its node has ended`() async throws {
      #expect(try await witness("--", "/bin/sh", "-c", "exit 0").exit == .code(0))
      #expect(try await witness("--", "/bin/sh", "-c", "exit 78").exit == .code(78))
      #expect(try await witness("--", "/bin/sh", "-c", "kill -KILL $$").exit == .signal(SIGKILL))
      #expect(try await witness("--", "/bin/sh", "-c", "kill -TERM $$").exit == .signal(SIGTERM))
    }

    @Test func `W14: a program that cannot be started is named`() async throws {
      let missing = try await witness("--", "no-such-program")
      #expect(missing.exit == .code(127) && missing.errorOutput.contains("no-such-program cannot be started"))
      #expect(try await witness("--", "/etc/hostname").exit == .code(126))
      let usage = try await witness()
      #expect(usage.exit == .code(64) && usage.errorOutput.contains("usage: parallax-witness"))
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGWINCH])
    func `W14: it passes signals on`(signal: Int32) async throws {
      let script = "trap 'echo got; exit 9' \(signal); echo ready; while :; do sleep 0.05; done"
      let program = try ProjectLayout.executable("parallax-witness")
      try await withChildProcess(ChildProcess(program, ["--", "/bin/sh", "-c", script])) { process in
        _ = try await process.waitForOutput("the trap") { output, _ in output.contains("ready") ? true : nil }
        process.send(signal: signal)
        #expect(try await process.waitForExit() == .code(9))
        #expect(process.output.contains("got"))
      }
    }

    @Test(.enabled("a process namespace needs root") { geteuid() == 0 })
    func `W14: as the first process it reaps orphans`() async throws {
      // The inner shell ends at once, so its child becomes the witness' own.
      let script = "(sh -c 'sleep 0.1 & exit 0'); (sh -c 'sleep 0.1 & exit 0'); echo ready; sleep 30"
      let program = try ProjectLayout.executable("parallax-witness")
      let arguments = ["--pid", "--fork", "--kill-child", program.path, "--", "/bin/sh", "-c", script]
      try await withChildProcess(ChildProcess(ProjectLayout.program("unshare"), arguments)) { process in
        _ = try await process.waitForOutput("the orphans") { output, _ in output.contains("ready") ? true : nil }
        let witness = try #require(childProcesses(of: process.pid).first).pid
        try await eventually("the shell alone") {
          childProcesses(of: witness).count == 1 && childProcesses(of: witness).allSatisfy { !$0.isZombie }
        }
      }
    }

    @Test func `W14: it reports the end of its node with the signal, and a node inside it starts no other`() async throws {
      try await RedisServer.with { redis in
        let files = ["parallax.config.yaml": "highAvailability: { leaderElection: { bootstrapWait: 0s } }"]
        let environment = ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(15))
        let inside = try await ParallaxdProcess.start(environment: environment, files: files, isInsideWitness: true)
        try await withChildProcess(inside.process) { process in
          try await eventually("a leader") { try await inside.haStatus().leader == "node-0" }
          let node = try #require(inside.node)
          #expect(witnessProcess(of: node) == nil)
          kill(node, SIGKILL)
          #expect(try await process.waitForExit() == .signal(SIGKILL))
          let cluster = ParallaxCluster(redis: redis, nodes: [])
          #expect(try await cluster.record()["witnessed"] == true)
          let member = try await cluster.redisCommand("HGET", "parallax:ha:members", "node-0")
          #expect(member.contains(#""signal":9"#), "\(member)")
          #expect(process.errorOutput.contains("released the term"))
        }
      }
    }

    @Test func `W14: a node inside it stops in order, and there is nothing to report`() async throws {
      try await RedisServer.with { redis in
        let files = ["parallax.config.yaml": "highAvailability: { leaderElection: { bootstrapWait: 0s } }"]
        let environment = ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(15))
        let inside = try await ParallaxdProcess.start(environment: environment, files: files, isInsideWitness: true)
        try await withChildProcess(inside.process) { process in
          try await eventually("a leader") { try await inside.haStatus().leader == "node-0" }
          process.send(signal: SIGTERM)
          #expect(try await process.waitForExit() == .code(0))
          #expect(!process.errorOutput.contains("whose process has ended"))
          #expect(try await ParallaxCluster(redis: redis, nodes: []).record()["witnessed"] == nil)
        }
      }
    }

    @Test(arguments: [true, false])
    func `the end of a script around the node proves nothing, and that of the node itself does`(isNode: Bool) async throws {
      try await RedisServer.with { redis in
        let cluster = ParallaxCluster(redis: redis, nodes: [])
        try await cluster.pretendLeader()
        let script = "sed s/4711/\(isNode ? "$$" : "1")/ orders >/proc/self/fd/$PARALLAX_WITNESS_DESCRIPTOR; kill -9 $$"
        let files = ["orders": String(decoding: try WitnessOrders.ofScript(redis).line(), as: UTF8.self)]
        let outcome = try await run(
          ProjectLayout.executable("parallax-witness"), ["--", Self.shell.path, "-c", script], files: files)
        #expect(outcome.exit == .signal(SIGKILL))
        let isReleased = try await cluster.record()["witnessed"] == true
        #expect(isReleased == isNode, "\(outcome.errorOutput)")
        #expect(outcome.errorOutput.contains("nothing is proven") != isNode, "\(outcome.errorOutput)")
      }
    }

    // MARK: Beside a process

    /// A shell in the place of a node: it starts the witness, writes orders to the pipe, and then runs `rest`.
    private func withShell(_ rest: String, on redis: RedisServer, _ body: (ChildProcess, ParallaxCluster) async throws -> Void) async throws
    {
      let cluster = ParallaxCluster(redis: redis, nodes: [])
      try await cluster.pretendLeader()
      let orders = WitnessOrders.ofScript(redis)
      let witness = try ProjectLayout.executable("parallax-witness").path
      let script = """
        mkfifo pipe; '\(witness)' --node-process $$ <pipe & exec 3>pipe; sed "s/4711/$$/" orders >&3; echo ready; \(rest)
        """
      let files = ["orders": String(decoding: try orders.line(), as: UTF8.self)]
      try await withChildProcess(ChildProcess(Self.shell, ["-c", script], files: files)) { process in
        _ = try await process.waitForOutput("the orders") { output, _ in output.contains("ready") ? true : nil }
        try await body(process, cluster)
      }
    }

    /// Waits until a witness waits for its node, and checks that it has not begun a report, which has threads.
    private func expectQuiet(witness: pid_t) async throws {
      try await eventually("a witness that waits") { try status("State", of: witness).hasPrefix("S") }
      #expect(try status("Threads", of: witness) == "1")
    }

    /// How often a process has waited for something.
    private func wakes(of process: pid_t) throws -> Int { try #require(Int(status("voluntary_ctxt_switches", of: process))) }

    /// A line of what the kernel says about a process.
    private func status(_ name: String, of process: pid_t) throws -> String {
      let lines = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8).split(separator: "\n")
      let line = try #require(lines.first { $0.hasPrefix(name + ":") })
      return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
    }

    @Test
    func `W8: a child of the process that holds the pipe open makes nothing early, and nothing late where there are process descriptors`()
      async throws
    {
      try await RedisServer.with { redis in
        try await withShell("sleep 20 & wait", on: redis) { process, cluster in
          try await expectQuiet(witness: try await eventualValue("a witness") { witnessProcess(of: process.pid) })
          #expect(try await cluster.record()["leader"] == "node-0")
          process.send(signal: SIGKILL)
          try await eventually("the release", within: .seconds(25)) { try await cluster.record()["witnessed"] == true }
          #expect(try await cluster.record()["term"] == 7)
        }
      }
    }

    @Test func `a process that closes the pipe and lives is not reported`() async throws {
      try await RedisServer.with { redis in
        try await withShell("mkfifo go; read word <go; exec 3>&-; exec sleep 20", on: redis) { process, cluster in
          let witness = try await eventualValue("a witness") { witnessProcess(of: process.pid) }
          try await expectQuiet(witness: witness)
          let wakes = try wakes(of: witness)
          try Data("go\n".utf8).write(to: process.folder.appending(path: "go"))
          try await eventually("the end of file") { try self.wakes(of: witness) > wakes }
          try await expectQuiet(witness: witness)
          #expect(try await cluster.record()["leader"] == "node-0")
          process.send(signal: SIGKILL)
          try await eventually("the release") { try await cluster.record()["witnessed"] == true }
        }
      }
    }

    @Test func `a discharged witness ends in silence`() async throws {
      try await RedisServer.with { redis in
        try await withShell("echo discharged >&3; wait; echo gone; sleep 20", on: redis) { process, cluster in
          _ = try await process.waitForOutput("the end of the witness") { output, _ in output.contains("gone") ? true : nil }
          #expect(try await cluster.record()["leader"] == "node-0")
          #expect(process.errorOutput == "")
        }
      }
    }
  }
}
