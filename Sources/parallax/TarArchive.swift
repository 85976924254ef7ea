/// A tar archive in the format ustar of POSIX, for files of a report: readable by their owner only, without owners' names.
struct TarArchive {
  private static let block = 512
  /// The bound of a name in the format, in bytes.
  static let longestName = 100

  private(set) var bytes: [UInt8] = []

  /// Adds a file.
  ///
  /// - Parameters:
  ///   - name: The path inside the archive: ASCII, 1 to ``longestName`` bytes.
  ///   - contents: The contents, below 8 GiB.
  ///   - time: The time of the file in seconds since 1970.
  mutating func add(_ name: String, _ contents: some Collection<UInt8>, time: Int) {
    precondition((1...Self.longestName).contains(name.utf8.count), "a name of an archive's file is too long: \(name)")
    var header = [UInt8](repeating: 0, count: Self.block)
    func put(_ text: String, at offset: Int) { header.replaceSubrange(offset..<(offset + text.utf8.count), with: Array(text.utf8)) }
    func octal(_ number: Int, digits: Int) -> String {
      let text = String(max(0, number), radix: 8)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    put(name, at: 0)
    put(octal(0o600, digits: 7), at: 100)
    put(octal(0, digits: 7), at: 108)
    put(octal(0, digits: 7), at: 116)
    put(octal(contents.count, digits: 11), at: 124)
    put(octal(time, digits: 11), at: 136)
    // The sum is that of the header with spaces in place of the sum.
    put(String(repeating: " ", count: 8), at: 148)
    put("0", at: 156)
    put("ustar", at: 257)
    put("00", at: 263)
    let sum = header.reduce(0) { $0 + Int($1) }
    put(octal(sum, digits: 6) + "\0 ", at: 148)
    bytes += header
    bytes += contents
    pad()
  }

  /// Ends the archive: two empty blocks, after which readers stop.
  mutating func finish() {
    bytes += [UInt8](repeating: 0, count: 2 * Self.block)
  }

  private mutating func pad() {
    let rest = bytes.count % Self.block
    if rest > 0 { bytes += [UInt8](repeating: 0, count: Self.block - rest) }
  }
}
