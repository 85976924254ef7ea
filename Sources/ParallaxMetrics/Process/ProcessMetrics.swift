extension MetricsRegistry {
  /// Registers the metrics of the process, which are read at each scrape.
  ///
  /// `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds`
  /// and `process_start_time_seconds`, as in other Prometheus clients. Their source is `/proc`; without it they are missing from the
  /// scrape.
  /// - Throws: ``MetricsError`` if they are already registered.
  public func registerProcessMetrics() throws(MetricsError) {
    try registerCounter("process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.") {
      samples(ProcessStatus.read()?.cpuSeconds)
    }
    try registerGauge("process_resident_memory_bytes", help: "Resident memory size in bytes.") {
      samples(ProcessStatus.read()?.residentBytes)
    }
    try registerGauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.") {
      samples(ProcessStatus.read()?.virtualBytes)
    }
    try registerGauge("process_start_time_seconds", help: "Start time of the process since unix epoch in seconds.") {
      samples(ProcessStatus.startTime())
    }
    try registerGauge("process_open_fds", help: "Number of open file descriptors.") {
      samples(ProcessFiles.open())
    }
    try registerGauge("process_max_fds", help: "Maximum number of open file descriptors.") {
      samples(ProcessFiles.limit())
    }
  }
}

private func samples(_ value: Double?) -> [MetricSample] {
  value.map { [MetricSample($0)] } ?? []
}
