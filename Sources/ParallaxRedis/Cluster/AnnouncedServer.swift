/// A server in another one's view of the cluster.
///
/// The setting `cluster-preferred-endpoint-type` determines what the reply contains: an address, a host name or `?`, or no host.
struct AnnouncedServer {
  /// What an operator has to change where an address is missing.
  static let remedy =
    "set cluster-preferred-endpoint-type to ip on all servers, or to hostname with a cluster-announce-hostname on each"

  let identifier: String
  private let host: String?
  private let address: String?
  let port: Int

  /// Reads a server of a reply to CLUSTER SHARDS; `nil` if it has no port of the kind.
  init?(shard fields: [String: RESPValue], usesTLS: Bool) {
    self.init(
      fields["id"]?.string, fields["endpoint"]?.string, address: fields["ip"]?.string, port: fields[usesTLS ? "tls-port" : "port"]?.int)
  }

  /// Reads a server of a reply to CLUSTER SLOTS; `nil` if it is malformed.
  init?(slots fields: [RESPValue]) {
    guard fields.count >= 2 else { return nil }
    let metadata = fields.count > 3 ? fields[3].map : nil
    self.init(
      fields.count > 2 ? fields[2].string : nil, fields[0].string, address: metadata?["ip"]?.string ?? metadata?["hostname"]?.string,
      port: fields[1].int)
  }

  private init?(_ identifier: String?, _ host: String?, address: String?, port: Int?) {
    guard let port, (1...65_535).contains(port) else { return nil }
    self.identifier = identifier ?? ""
    self.host = host.flatMap { $0.isEmpty ? nil : $0 }
    self.address = address.flatMap { $0.isEmpty || $0 == "?" ? nil : $0 }
    self.port = port
  }

  /// Whether the server should have a host name and has none, so that redirections do not tell its address.
  var isUnnamed: Bool { host == "?" }

  /// Whether the server has the host of the one that replied.
  var sharesHost: Bool { host == nil }

  /// The address for clients.
  ///
  /// - Parameter source: The server that replied.
  /// - Returns: The address; `nil` if the reply does not tell it.
  func endpoint(from source: RedisConfiguration.Endpoint) -> RedisConfiguration.Endpoint? {
    if let host, !isUnnamed { return .host(host, port: port) }
    if isUnnamed, let address { return .host(address, port: port) }
    // Through the host by which the server was reached; of servers without a host name only the replying one can lack an address.
    guard case .host(let host, let reachedPort) = source, sharesHost || port == reachedPort else { return nil }
    return .host(host, port: port)
  }
}
