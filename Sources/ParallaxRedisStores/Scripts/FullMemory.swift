import ParallaxRedis

/// Writes that a server accepts although its memory has reached `maxmemory`, and writes that it refuses then.
///
/// Redis refuses a write that may need memory with OOM, in a script too, unless the script has written before: Redis never aborts a script
/// between two writes. PERSIST needs no memory and does not change a key without a time to live, so a script that begins with PERSIST runs
/// to its end. The flag `allow-oom` has the same effect, but Redis applies stricter rules for keys to a script with flags. Valkey behaves
/// alike.
///
/// Only writes that free memory, or on which the end of executions and retention depend, use it: the lease, the membership field, the list
/// of sessions, the claim and the removal of executions with their index entries, ends without results, the registrations of agents, and
/// messages without inputs between nodes. All other writes are refused. An admitted script must not depend on a command outside it that
/// would be refused: its repeats would fail alike although it has taken effect.
enum FullMemory {
  /// The first write of a script that the server must accept; needs a first key.
  static let admission = "redis.call('PERSIST', KEYS[1])"

  /// The first write of a script that creates a hash and must be refused, before any that would admit the rest, such as DEL; needs the
  /// format version as the first argument.
  static let refusal = "redis.call('HSET', KEYS[1], 'version', ARGV[1])"
}
