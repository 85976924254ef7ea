/// Writes that a server takes although its memory has reached `maxmemory`.
///
/// Redis refuses a write that may need memory with OOM, in a script too, unless the script has written before: Redis never stops a script
/// half way. PERSIST needs no memory and changes nothing on a key without a time to live, so a script that begins with it runs to its end.
/// The flag `allow-oom` would say the same, but a script with flags obeys other rules about its keys. Valkey behaves alike.
///
/// Only scripts that free memory, or that collection depends on, use it: the lease, the membership field, the list of sessions, the claim
/// and the removal of executions, and ends without results. All other writes are refused.
enum FullMemory {
  /// The first write of a script that the server has to take; needs a first key.
  static let admission = "redis.call('PERSIST', KEYS[1])"
}
