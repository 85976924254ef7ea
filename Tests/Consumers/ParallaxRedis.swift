import ParallaxRedis

/// Needs nothing but the library.
func visits(_ client: RedisClient) async throws -> Int? {
  try await client.send(.get("visits", as: Int.self))
}
