import CLibFuzzer

/// The libFuzzer target of the decoder; its arguments are libFuzzer's.
@main
struct Fuzzer {
  static func main() {
    MemoryMeter.install()
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    _ = LLVMFuzzerRunDriver(&count, &arguments) { start, length in
      DecoderProperties(input: Array(UnsafeBufferPointer(start: start, count: length))).check()
      return 0
    }
  }
}
