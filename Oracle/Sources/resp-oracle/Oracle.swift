#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Compares the decoder with hiredis on generated input for a bounded time, and ends with a failure at the first disagreement.
///
/// Usage: `resp-oracle [FOLDER OF A CORPUS]`, with `ORACLE_SECONDS` for the time and `ORACLE_SEED` to begin with another seed than the
/// clock's; a case follows from its own seed alone, so the seed of a failure makes it the first one.
@main
struct Oracle {
  static func main() throws {
    do {
      try run()
    } catch let failure as Failure {
      print("error: \(failure.message)")
      exit(2)
    }
  }

  private static func run() throws {
    guard Hiredis.version >= 14, Hiredis.version != 100 else {
      throw Failure("hiredis 0.14, or 1.1 and later, is needed; this is \(Hiredis.version / 100).\(Hiredis.version % 100)")
    }
    let seconds = try number("ORACLE_SECONDS") ?? 10
    let seed = try number("ORACLE_SEED") ?? UInt64(Date().timeIntervalSince1970 * 1_000)
    let corpus = try corpus()
    print("hiredis \(Hiredis.version / 100).\(Hiredis.version % 100), seed \(seed), \(corpus.count) files of corpus, \(seconds) s")
    try Campaign(seed: seed, duration: .seconds(Int64(clamping: seconds)), corpus: corpus).run()
  }

  private static func number(_ variable: String) throws -> UInt64? {
    guard let text = ProcessInfo.processInfo.environment[variable] else { return nil }
    guard let value = UInt64(text) else { throw Failure("\(variable) must be a number, and is \"\(text)\"") }
    return value
  }

  private static func corpus() throws -> [[UInt8]] {
    guard let folder = CommandLine.arguments.dropFirst().first else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { name in
      try Array(Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }
  }
}

/// Why the run ends without a verdict.
struct Failure: Error {
  let message: String

  init(_ message: String) {
    self.message = message
  }
}
