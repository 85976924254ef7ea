import ParallaxAPI
package import ParallaxMetrics

/// The metrics of agent connections; the series are made once, because they are on the hot path.
package struct SessionMetrics: Sendable {
  private let connections: GaugeSeries
  private let inbound: [AgentMessage.Kind: CounterSeries]
  private let inboundFaults: CounterSeries
  private let outbound: [ControlPlaneMessage.Kind: CounterSeries]
  private let faults: MetricFamily<CounterSeries>

  package init(registry: MetricsRegistry) throws {
    connections = try registry.makeGauge("parallax_ws_connections", help: "Open agent connections.").withLabels()
    let messages = try registry.makeCounter(
      "parallax_ws_messages_total", help: "Agent protocol messages.", labels: ["direction", "type"])
    inbound = Dictionary(uniqueKeysWithValues: AgentMessage.Kind.allCases.map { ($0, messages.withLabels("in", $0.rawValue)) })
    inboundFaults = messages.withLabels("in", "invalid")
    outbound = Dictionary(uniqueKeysWithValues: ControlPlaneMessage.Kind.allCases.map { ($0, messages.withLabels("out", $0.rawValue)) })
    faults = try registry.makeCounter("parallax_agent_faults_total", help: "Errors sent to agents, by code.", labels: ["code"])
  }

  func opened() { connections.increment() }
  func closed() { connections.decrement() }
  func received(_ kind: AgentMessage.Kind) { inbound[kind]?.increment() }
  func receivedFault() { inboundFaults.increment() }
  func sent(_ kind: ControlPlaneMessage.Kind) { outbound[kind]?.increment() }
  func fault(_ code: String) { faults.withLabels(code).increment() }
}
