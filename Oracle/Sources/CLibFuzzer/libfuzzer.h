// What the toolchain's libFuzzer and sanitizer runtime have, and no header that comes with Swift declares.

#include <stddef.h>
#include <stdint.h>

/// Runs the fuzzer with its own command line; `test` is called once for each input.
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*test)(const uint8_t *bytes, size_t length));

/// Calls the hooks at each allocation and release, from then on; 0 if there is no room for another pair.
int __sanitizer_install_malloc_and_free_hooks(
  void (*malloc_hook)(const volatile void *pointer, size_t size), void (*free_hook)(const volatile void *pointer));

/// The size that was asked for when this was allocated.
size_t __sanitizer_get_allocated_size(const volatile void *pointer);
