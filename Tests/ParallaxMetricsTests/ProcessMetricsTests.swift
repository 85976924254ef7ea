import Testing

@testable import ParallaxMetrics

@Suite struct ProcessMetricsTests {
  @Test func `The status line is read past a command that contains anything`() {
    let stat = "42 (a) b 1 (c) R 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1000 8192000 512 18446744073709551615 1 1"
    let status = ProcessStatus(stat: stat, ticksPerSecond: 100, pageSize: 4_096)
    #expect(status?.cpuSeconds == 3)
    #expect(status?.startedAfterBoot == 10)
    #expect(status?.virtualBytes == 8_192_000)
    #expect(status?.residentBytes == 2_097_152)
  }

  @Test(arguments: ["", "42 (a", "42 (a) R 1 2", "42 (a) R x x x x x x x x x x x x x x x x x x x x x x"])
  func `A status line of another form is not guessed at`(stat: String) {
    #expect(ProcessStatus(stat: stat, ticksPerSecond: 100, pageSize: 4_096) == nil)
  }

  @Test func `The machine's start is found among other lines`() {
    #expect(ProcessStatus.bootTime(stat: "cpu 1 2\nbtime 1700000000\nprocesses 3\n") == 1_700_000_000)
    #expect(ProcessStatus.bootTime(stat: "cpu 1 2\n") == nil)
  }

  @Test func `The limit of descriptors may be unlimited`() {
    let header = "Limit                     Soft Limit           Hard Limit           Units\n"
    #expect(ProcessFiles.limit(limits: header + "Max open files            1024                 4096                 files\n") == 1_024)
    #expect(ProcessFiles.limit(limits: header + "Max open files            unlimited            unlimited            files\n") == .infinity)
    #expect(ProcessFiles.limit(limits: header) == nil)
  }

  #if os(Linux)
  @Test func `The process's own metrics are plausible`() throws {
    let registry = MetricsRegistry()
    try registry.registerProcessMetrics()
    let values = registry.text().split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ") }
    let metrics = Dictionary(uniqueKeysWithValues: values.map { (String($0[0]), Double($0[1]) ?? .nan) })
    #expect(
      Set(metrics.keys) == [
        "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
        "process_start_time_seconds",
      ])
    let resident = try #require(metrics["process_resident_memory_bytes"])
    #expect(resident > 1_000_000)
    #expect(try #require(metrics["process_virtual_memory_bytes"]) > resident)
    let open = try #require(metrics["process_open_fds"])
    #expect(open >= 1)
    #expect(try #require(metrics["process_max_fds"]) >= open)
    #expect(try #require(metrics["process_start_time_seconds"]) > 1_600_000_000)
  }
  #endif
}
