import Foundation
import ParallaxRedis
import Synchronization
import TestSupport
import Testing

@Suite struct CredentialsTests {
  @Test func aChangedPasswordIsRequestedAtTheNextLogin() async throws {
    try await RedisServer.with(.init(password: "old")) { server in
      let password = Mutex("old")
      let configuration = try server.configuration { configuration in
        configuration.password = nil
        configuration.credentials = { .init(password: password.withLock { $0 }) }
      }
      try await withClient(configuration) { client in
        #expect(try await client.send(RedisCommand("PING").idempotent).string == "PONG")
        _ = try await client.send(RedisCommand("CONFIG", "SET", "requirepass", "new"))
        // The connection ends, as at a restart of the server.
        _ = try? await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"))
        let error = try await redisError { try await client.send(RedisCommand("PING").idempotent) }
        #expect(error?.code == .authenticationFailed)
        password.withLock { $0 = "new" }
        try await eventually("the client has logged in with the new password") {
          (try? await client.send(RedisCommand("PING").idempotent.withTimeout(.seconds(1))))?.string == "PONG"
        }
      }
    }
  }

  @Test func unavailableCredentialsAreTheReasonOfTheError() async throws {
    try await RedisServer.with { server in
      let configuration = try server.configuration { $0.credentials = { throw CocoaError(.fileReadNoSuchFile) } }
      try await withClient(configuration) { client in
        let error = try await redisError { try await client.send(RedisCommand("PING")) }
        #expect(error?.code == .authenticationFailed)
        #expect(error?.message.contains("cannot be obtained") == true)
      }
    }
  }
}
