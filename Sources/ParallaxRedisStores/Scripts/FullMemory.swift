/// Writes that a server accepts although its memory has reached `maxmemory`.
///
/// Redis refuses a write that may need memory with OOM, in a script too, unless the script has written before: Redis never aborts a script
/// between two writes. PERSIST needs no memory and does not change a key without a time to live, so a script that begins with PERSIST runs
/// to its end. The flag `allow-oom` has the same effect, but Redis applies stricter rules for keys to a script with flags. Valkey behaves
/// alike.
///
/// Only scripts that free memory, or on which retention depends, use it: the lease, the membership field, the list of sessions, the claim
/// and the removal of executions, and ends without results. All other writes are refused.
enum FullMemory {
  /// The first write of a script that the server must accept; needs a first key.
  static let admission = "redis.call('PERSIST', KEYS[1])"
}
