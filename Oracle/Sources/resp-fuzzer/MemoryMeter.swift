import CLibFuzzer

/// Follows how much memory is allocated, by the sanitizer's hooks.
///
/// The fuzzer runs its target on one thread, and other threads do nothing of note meanwhile.
enum MemoryMeter {
  nonisolated(unsafe) private static var isCounting = false
  nonisolated(unsafe) private static var current = 0
  nonisolated(unsafe) private static var peak = 0

  static func install() {
    let isInstalled = __sanitizer_install_malloc_and_free_hooks(
      { _, size in if MemoryMeter.isCounting { MemoryMeter.add(Int(size)) } },
      { pointer in
        if MemoryMeter.isCounting, let pointer { MemoryMeter.add(-Int(__sanitizer_get_allocated_size(pointer))) }
      })
    precondition(isInstalled != 0, "the sanitizer has no room for hooks")
  }

  private static func add(_ size: Int) {
    current += size
    peak = max(peak, current)
  }

  /// The most memory that was allocated at a time while the body ran, above what was before.
  static func peak<Result>(during body: () -> Result) -> (Result, peak: Int) {
    current = 0
    peak = 0
    isCounting = true
    let result = body()
    isCounting = false
    return (result, peak)
  }
}
