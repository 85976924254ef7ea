import ParallaxRedisStores

/// Needs nothing but the library.
func keys() throws -> KeySpace {
  try KeySpace(prefix: "reports:")
}

let scripts = RedisStateStore.scripts + RedisInboxStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts
