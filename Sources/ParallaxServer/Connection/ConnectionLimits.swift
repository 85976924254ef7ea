package import NIOCore

/// The limits of the server's connections, and of the requests and messages on each.
package struct ConnectionLimits: Sendable {
  /// The number of connections; on further ones the server answers probes and refuses other requests.
  package var connections = 20_000
  /// The longest request body, in bytes.
  package var requestBody = 8 * 1024 * 1024
  /// The longest request target, in bytes.
  package var uriSize = 8 * 1024
  /// The longest header line and the largest sum of a request's header lines, in bytes, and the number of those lines.
  package var headerFieldSize = 16 * 1024
  package var headerListSize = 64 * 1024
  package var headerCount = 100
  /// How long a connection may be idle between requests, or a request between two reads.
  package var idleTimeout: TimeAmount = .seconds(60)
  /// How long the head of a request may take to arrive, from its first byte on.
  package var headTimeout: TimeAmount = .seconds(30)
  /// How long a body may take to arrive, from the request's head on, beside the time that its bytes earn.
  package var bodyGrace: TimeAmount = .seconds(30)
  /// The bytes of a body that earn a second more; more than zero.
  package var bodyRate = 1_024
  /// How long a request may take to arrive completely.
  package var requestTimeout: TimeAmount = .minutes(5)
  /// How long an idle connection stays open when the server stops, for a request that is already on its way.
  package var stopGrace: TimeAmount = .milliseconds(250)
  /// How long the peer may keep sending after the last response.
  package var lingerTimeout: TimeAmount = .seconds(1)
  /// The longest message of an agent, in bytes.
  package var agentMessageSize = 1024 * 1024
  /// The sustained rate of an agent's small frames, as `FrameBudget` counts them, of which ten seconds may come at once; nil sets no limit.
  package var agentFramesPerSecond: Int? = 1_000
  /// The unsent bytes at which an agent that does not read is disconnected.
  package var agentBacklog = 8 * 1024 * 1024
  /// The size, in bytes, from which a message to an agent is compressed if the agent offers it; nil if the server does not agree to
  /// compression.
  package var agentCompression: Int?

  package init() {}
}
