import NIOCore
import ParallaxAPI
import ParallaxMetrics
import ParallaxServer

/// Answers the probes from the node's memory, without a call to the store.
struct Probes: Sendable {
  let health: NodeHealth
  let metrics: NodeMetrics
  let registry: MetricsRegistry

  func answer(_ probe: Probe, accept: String?) -> ProbeAnswer {
    switch probe {
    case .health(.health): document(health.health())
    case .health(.live): document(health.liveness())
    case .health(.ready): document(health.readiness())
    case .metrics: exposition(accept)
    }
  }

  private func exposition(_ accept: String?) -> ProbeAnswer {
    let format = ExpositionFormat(accept: accept)
    metrics.refresh()
    return ProbeAnswer(status: 200, contentType: format.contentType, body: ByteBuffer(bytes: registry.render(format)))
  }

  private func document(_ answer: (status: Int, document: HealthDocument)) -> ProbeAnswer {
    guard let body = try? JSON.encode(answer.document) else {
      preconditionFailure("a health document holds nothing that JSON cannot")
    }
    return ProbeAnswer(status: answer.status, contentType: "application/json", body: ByteBuffer(bytes: body))
  }
}
