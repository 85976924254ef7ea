/// The queries to a sentinel, and their replies.
struct SentinelReply {
  /// Two queries: only the first reports a failover before its end, and only the second reports its epoch.
  static func questions(about masterName: String) -> [RedisCommand] {
    [
      RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).idempotent,
      RedisCommand("SENTINEL", "MASTER", masterName).idempotent,
    ]
  }

  static func answer(_ replies: [Result<RESPValue, RedisError>], about masterName: String) -> MasterDiscovery.Answer {
    do throws(RedisError) {
      let address = try replies[0].get()
      if address.isNull { return .unknownName }
      guard let parts = address.array, parts.count == 2, let host = parts[0].string, let port = parts[1].int, (1...65_535).contains(port),
        let epoch = try replies[1].get().map?["config-epoch"]?.int
      else {
        return .failed(RedisError(.unexpectedReply, command: "SENTINEL", message: "The sentinel's reply does not describe a master."))
      }
      // A sentinel that cannot resolve the host name of its master has no address.
      if host.isEmpty {
        return .failed(
          RedisError(
            .connectionFailed, command: "SENTINEL",
            message: "The sentinel has no address of the master \(masterName): check that it can resolve the master's host name."))
      }
      return .master(.host(host, port: port), epoch: Int64(epoch))
    } catch {
      return error.serverMessage?.hasPrefix("ERR No such master") == true ? .unknownName : .failed(error)
    }
  }
}
