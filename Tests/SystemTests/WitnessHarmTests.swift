import Foundation
import ParallaxAPI
import ParallaxHA
import ParallaxWitness
import TestSupport
import Testing

extension SystemTests {
  /// What a witness must never do: hang, betray what it was told, or take a terminal from its owner.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct WitnessHarm {
    // MARK: Time

    /// A script in the place of a node: it says its orders to the witness around it, and ends by a signal.
    private static func node(endingBy signal: String) -> String {
      "sed s/4711/$$/ orders >/proc/self/fd/$PARALLAX_WITNESS_DESCRIPTOR; kill -\(signal) $$"
    }

    private func witness() throws -> String { try ProjectLayout.executable("parallax-witness").path }

    @Test func `standard error that nobody reads holds up neither the report nor the end`() async throws {
      try await RedisServer.with { redis in
        let cluster = ParallaxCluster(redis: redis, nodes: [])
        try await cluster.pretendLeader()
        // The pipe is full before the witness starts.
        let script = """
          mkfifo err; exec 4<>err; dd if=/dev/zero of=err bs=4096 oflag=nonblock 2>dd
          (exec '\(try witness())' -- /bin/sh -c '\(Self.node(endingBy: "KILL"))' 2>&4); echo "status $?"
          """
        try await withScript(script, orders: WitnessOrders.ofScript(redis)) { process in
          let exit = try await process.waitForExit(within: .seconds(8))
          #expect(exit == .code(0))
          #expect(process.output == "status 137\n")
          #expect(process.text(of: "dd").contains("temporarily unavailable"))
          #expect(try await cluster.record()["witnessed"] == true)
        }
      }
    }

    @Test func `around a node, a mount that does not answer costs the report, but not the end`() async throws {
      try await RedisServer.with { redis in
        let script = """
          mkfifo secret; '\(try witness())' -- /bin/sh -c '\(Self.node(endingBy: "KILL"))'; echo "status $?"
          """
        try await withScript(script, orders: WitnessOrders.ofScript(redis, authorities: "secret")) { process in
          let exit = try await process.waitForExit(within: .seconds(8))
          #expect(exit == .code(0))
          #expect(process.output == "status 137\n")
          #expect(process.errorOutput.contains("a report of the end of the node's process hangs"), "\(process.errorOutput)")
        }
      }
    }

    @Test(arguments: [true, false])
    func `beside a node, a mount that does not answer costs a lease or the time after a SIGTERM`(isTerminated: Bool) async throws {
      try await RedisServer.with { redis in
        let timings =
          isTerminated
          ? ElectionTimings.standard
          : try ElectionTimings(
            leaseDuration: .seconds(1), renewDeadline: .milliseconds(660), retryPeriod: .milliseconds(130))
        let orders = WitnessOrders.ofScript(redis, timings: timings, authorities: "secret")
        try await withShell("exec sleep 60", before: "mkfifo secret", orders: orders) { process in
          let witness = try await eventualValue("a witness") { witnessProcess(of: process.pid) }
          process.send(signal: SIGKILL)
          _ = try await process.waitForExit()
          if isTerminated {
            // Before it reports it forgets signals that came while the node lived.
            try await eventually("the threads of a report") { threads(of: witness) > 1 }
            kill(witness, SIGTERM)
          }
          try await eventually("the end of the witness", within: .seconds(8)) { witnessProcess(of: process.pid) == nil }
          #expect(process.errorOutput.contains("a report of the end of the node's process hangs"), "\(process.errorOutput)")
        }
      }
    }

    @Test func `a SIGTERM long before the end of the node does not shorten the report`() async throws {
      try await RedisServer.with { redis in
        let cluster = ParallaxCluster(redis: redis, nodes: [])
        try await cluster.pretendLeader()
        try await withShell("exec sleep 60", orders: WitnessOrders.ofScript(redis)) { process in
          let witness = try await eventualValue("a witness") { witnessProcess(of: process.pid) }
          // A signal before that ends it as it ends any program.
          try await eventually("a witness that is not ended by SIGTERM") { isPrepared(witness, for: SIGTERM) }
          kill(witness, SIGTERM)
          process.send(signal: SIGKILL)
          try await eventually("the first release") { try await cluster.record()["witnessed"] == true }
          // A write of the dead process that arrives late; the next look is after a retry period.
          try await cluster.pretendLeader(term: 8)
          try await eventually("the second release") { try await cluster.record()["witnessed"] == true }
          #expect(try await cluster.record()["term"] == 8)
          // Now it is hurried.
          kill(witness, SIGTERM)
          try await eventually("the end of the witness", within: .seconds(3)) { witnessProcess(of: process.pid) == nil }
        }
      }
    }

    // MARK: Secrets

    private static let leavesCoreFiles: Bool = {
      let pattern = (try? String(contentsOfFile: "/proc/sys/kernel/core_pattern", encoding: .utf8)) ?? "|"
      return geteuid() == 0 && pattern.hasPrefix("core")
    }()

    @Test(.enabled("core files must be files in the working folder, with a limit that root may raise") { leavesCoreFiles })
    func `a witness that ends by the signal of its node, or by one of its own, leaves no core file`() async throws {
      try await RedisServer.with { redis in
        // The node itself leaves none here.
        let inner = "ulimit -c 0; \(Self.node(endingBy: "SEGV"))"
        let script = "ulimit -c unlimited; '\(try witness())' -- /bin/sh -c '\(inner)'; echo \"status $?\""
        try await withScript(script, orders: WitnessOrders.ofScript(redis)) { process in
          _ = try await process.waitForExit()
          #expect(process.output == "status 139\n")
          #expect(try coreFiles(in: process.folder) == [])
        }
        try await withShell(
          "exec sleep 60", before: "export SWIFT_BACKTRACE=enable=no; ulimit -c unlimited", orders: WitnessOrders.ofScript(redis)
        ) { process in
          let witness = try await eventualValue("a witness") { witnessProcess(of: process.pid) }
          kill(witness, SIGSEGV)
          try await eventually("the end of the witness") { witnessProcess(of: process.pid) == nil }
          #expect(try coreFiles(in: process.folder) == [])
        }
      }
    }

    /// A node that dumps its core goes on doing so: the limit of the witness is not its own.
    @Test(.enabled("core files must be files in the working folder, with a limit that root may raise") { leavesCoreFiles })
    func `a node inside a witness leaves the core file that its limit allows`() async throws {
      let script = "ulimit -c unlimited; '\(try witness())' -- /bin/sh -c 'kill -SEGV $$'"
      try await withChildProcess(ChildProcess(ProjectLayout.program("sh"), ["-c", script])) { process in
        _ = try await process.waitForExit()
        #expect(try coreFiles(in: process.folder).count == 1)
      }
    }

    @Test(.enabled("only root may give up being root") { geteuid() == 0 })
    func `the memory and the files of a witness are closed to other processes of its user`() async throws {
      let nobody: UInt32 = 65_534
      let user = ["--reuid=\(nobody)", "--regid=\(nobody)", "--clear-groups"]
      // The user nobody may not look into the folders of these tests.
      let access = ["--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search"]
      let setpriv = (["setpriv"] + user + access).joined(separator: " ")
      let script = "mkfifo pipe; \(setpriv) '\(try witness())' --node-process $$ <pipe & exec 3>pipe; echo ready; exec sleep 60"
      try await withChildProcess(ChildProcess(ProjectLayout.program("sh"), ["-c", script])) { process in
        let witness = try await eventualValue("a witness") { witnessProcess(of: process.pid) }
        try await eventually("the kernel as the owner of what it shows of the witness") {
          var status = stat()
          return stat("/proc/\(witness)/environ", &status) == 0 && status.st_uid == 0
        }
        #expect(try String(contentsOfFile: "/proc/\(witness)/status", encoding: .utf8).contains("Uid:\t\(nobody)\t\(nobody)\t"))
        process.send(signal: SIGKILL)
        try await eventually("the end of the witness") { witnessProcess(of: process.pid) == nil }
      }
    }

    private func coreFiles(in folder: URL) throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("core") }
    }

    // MARK: Terminal

    /// A shell with job control, on a terminal of its own: it runs the witness as its only job, and writes down who has the terminal.
    private static let shell = """
      import os, pty, signal, sys
      witness, place = sys.argv[1:]
      # The node ends well once it has the terminal, or at once in the background.
      wait = "import os, time\\nwhile os.tcgetpgrp(0) != os.getpgrp(): time.sleep(0.01)"
      node = [sys.executable, "-c", wait if place == "foreground" else "pass"]
      child, terminal = pty.fork()
      if child == 0:
          signal.signal(signal.SIGTTOU, signal.SIG_IGN)
          signal.alarm(20)
          job = os.fork()
          if job == 0:
              os.setpgid(0, 0)
              if place == "foreground": os.tcsetpgrp(0, os.getpgrp())
              os.execv(witness, [witness, "--", *node])
          status = os.waitpid(job, 0)[1]
          owner = {os.getpgrp(): "shell", job: "job"}.get(os.tcgetpgrp(0), "node")
          with open("result", "w") as file: file.write(f"{status} {owner}")
          os._exit(0)
      try:
          while os.read(terminal, 1024): pass
      except OSError: pass
      os.waitpid(child, 0)
      """

    @Test(arguments: [("background", "shell"), ("foreground", "job")])
    func `a node gets the terminal of its witness for its life, and a background job has none`(place: String, owner: String) async throws {
      let arguments = ["shell.py", try witness(), place]
      try await withChildProcess(ChildProcess(ProjectLayout.python, arguments, files: ["shell.py": Self.shell])) { process in
        let exit = try await process.waitForExit(within: .seconds(30))
        #expect(exit == .code(0))
        #expect(process.text(of: "result") == "0 \(owner)", "\(process.errorOutput)")
      }
    }

    // MARK: Steps

    private func withScript(_ script: String, orders: WitnessOrders, _ body: (ChildProcess) async throws -> Void) async throws {
      let files = ["orders": String(decoding: try orders.line(), as: UTF8.self)]
      try await withChildProcess(ChildProcess(ProjectLayout.program("sh"), ["-c", script], files: files)) { process in
        // A witness that hangs must not outlive its test.
        defer { for child in childProcesses(of: process.pid) { kill(child.pid, SIGKILL) } }
        try await body(process)
      }
    }

    /// A shell in the place of a node: it starts the witness, says its orders, and then runs `rest`; its witness is ended with it.
    private func withShell(
      _ rest: String, before: String = ":", orders: WitnessOrders, _ body: (ChildProcess) async throws -> Void
    ) async throws {
      let script = """
        \(before); mkfifo pipe; '\(try witness())' --node-process $$ <pipe & exec 3>pipe; sed "s/4711/$$/" orders >&3; echo ready; \(rest)
        """
      try await withScript(script, orders: orders) { process in
        _ = try await process.waitForOutput("the orders") { output, _ in output.contains("ready") ? true : nil }
        defer { witnessProcess(of: process.pid).map { _ = kill($0, SIGKILL) } }
        try await body(process)
      }
    }

    private func threads(of process: pid_t) -> Int {
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task"))?.count ?? 0
    }
  }
}

extension WitnessOrders {
  /// Orders of the process 4711, the number that scripts replace by their own.
  static func ofScript(_ redis: RedisServer, timings: ElectionTimings = .standard, authorities: String? = nil) -> WitnessOrders {
    var access = RedisAccess(servers: ["127.0.0.1:\(redis.port)"])
    access.tls = authorities.map { RedisAccess.TLS(ca: $0) }
    (access.connectMilliseconds, access.commandMilliseconds) = (500, 500)
    return WitnessOrders(
      process: 4_711, session: NodeSession(nodeID: "node-0", incarnation: "shell"), timings: timings, keyPrefix: "parallax:",
      requiredReplicas: 0, redis: access, logsJSON: false)
  }
}

extension ParallaxCluster {
  /// Writes a record in which the node of such orders leads.
  func pretendLeader(term: Int64 = 7) async throws {
    let record = ElectionRecord(clusterID: "production", leader: "node-0", incarnation: "shell", term: term, leaseDuration: .seconds(15))
    guard try await redisCommand("SET", "parallax:ha:leader", String(decoding: try record.encoded(), as: UTF8.self)) == "OK" else {
      throw ProcessFailure("Redis has not taken the record")
    }
  }
}

/// Whether a process blocks, ignores or handles a signal.
private func isPrepared(_ pid: Int32, for signal: Int32) -> Bool {
  let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
  return status.split(separator: "\n").contains { line in
    guard ["SigBlk:", "SigIgn:", "SigCgt:"].contains(where: line.hasPrefix),
      let mask = UInt64(line.dropFirst(7).drop { $0 == "\t" }, radix: 16)
    else { return false }
    return mask >> (signal - 1) & 1 == 1
  }
}
