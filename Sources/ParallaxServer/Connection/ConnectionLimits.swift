package import NIOCore

/// What connections may take: how many there may be, and what each may ask for.
package struct ConnectionLimits: Sendable {
  /// How many connections there may be; those beyond get their probes answered, and all else refused.
  package var connections = 20_000
  /// The longest request body, in bytes.
  package var requestBody = 8 * 1024 * 1024
  /// The longest request target, in bytes.
  package var uriSize = 8 * 1024
  /// The longest header line, and the sum of all of a request, in bytes; and how many.
  package var headerFieldSize = 16 * 1024
  package var headerListSize = 64 * 1024
  package var headerCount = 100
  /// How long a connection may wait for a request, or a request for its next bytes.
  package var idleTimeout: TimeAmount = .seconds(60)
  /// How long a request may take to arrive in whole.
  package var requestTimeout: TimeAmount = .minutes(5)
  /// How long a connection that waits for a request may go on waiting when the server stops: one may be on its way.
  package var stopGrace: TimeAmount = .milliseconds(250)
  /// How long the peer may go on sending after the last answer.
  package var lingerTimeout: TimeAmount = .seconds(1)
  /// The longest message of an agent, in bytes.
  package var agentMessageSize = 1024 * 1024
  /// How many bytes may wait for an agent that does not read.
  package var agentBacklog = 8 * 1024 * 1024

  package init() {}
}
