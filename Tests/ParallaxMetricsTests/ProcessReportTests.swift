import Testing

@testable import ParallaxMetrics

@Suite struct ProcessReportTests {
  @Test func `Memory is read in bytes, and other lines are not`() {
    let status = "Name:\tparallaxd\nVmPeak:\t  200 kB\nVmRSS:\t  100 kB\nThreads:\t3\nSigQ:\t0/95\n"
    #expect(ProcessReport.memory(status: status) == ["VmPeak": 204_800, "VmRSS": 102_400])
  }

  @Test func `A thread's name may contain anything`() {
    let stat = "42 (NIO) 1 (x) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1000"
    let thread = ProcessReport.Thread(id: 42, stat: stat, ticksPerSecond: 100)
    #expect(thread == ProcessReport.Thread(id: 42, name: "NIO) 1 (x", state: "S", processorTime: .seconds(3)))
    #expect(ProcessReport.Thread(id: 1, stat: "1 (a) S 1", ticksPerSecond: 100) == nil)
    #expect(ProcessReport.Thread(id: 1, stat: ")(", ticksPerSecond: 100) == nil)
  }

  @Test(arguments: [
    ("/var/log/a", "file"), ("socket:[123]", "socket"), ("pipe:[1]", "pipe"), ("anon_inode:[eventpoll]", "eventpoll"),
    ("anon_inode:inotify", "inotify"),
  ])
  func `Open files are counted by kind`(target: String, kind: String) {
    #expect(ProcessReport.kind(ofFile: target) == kind)
  }

  #if os(Linux)
  @Test func `The report of this process is plausible`() throws {
    let report = ProcessReport.read()
    #expect(try #require(report.memory["VmRSS"]) > 1_000_000)
    #expect(!report.threads.isEmpty && report.threads.allSatisfy { !$0.name.isEmpty && $0.state.count == 1 })
    #expect(report.threads.map(\.id) == report.threads.map(\.id).sorted())
    #expect(report.files.values.reduce(0, +) > 0)
  }
  #endif
}
